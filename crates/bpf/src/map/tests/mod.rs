//! Maps against models, and under load.

mod hash;
