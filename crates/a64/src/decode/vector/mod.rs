//! Scalar floating point and vectors.
use super::Section;
pub(super) const SECTIONS: &[Section] = &[];
pub(super) const LOAD_STORE: &[Section] = &[];
