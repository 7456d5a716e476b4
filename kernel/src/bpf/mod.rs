//! BPF programs in the kernel.
//!
//! | room | what |
//! |---|---|
//! | [`cmd`] | the shell's `bpf` |
//!
//! What a program means, how it is written and what may be known of it is the crate `bpf`, which knows nothing of this kernel.

pub(crate) mod cmd;
pub(crate) mod tests;
