//! What can be known of a program without running it. So far: of its numbers.
//!
//! | room | what |
//! |---|---|
//! | [`tnum`] | numbers of which some bits are known |
//! | [`scalar`] | numbers of which bits and bounds are known, through every operation and both ways of every comparison |

mod num;
pub mod scalar;
pub mod tnum;

pub use scalar::Scalar;
pub use tnum::Tnum;
