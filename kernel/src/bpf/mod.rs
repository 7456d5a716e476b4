//! BPF programs in the kernel.
//!
//! | room | what |
//! |---|---|
//! | [`prog`] | programs: loaded, numbered, run, freed |
//! | [`load`] | from an object to programs that can run |
//! | [`types`] | the kernel's types as programs may ask for them |
//! | [`run`] | what a helper can ask about the program that called it |
//! | [`attach`] | programs on hooks |
//! | [`link`] | attachments, numbered and owned |
//! | [`cmd`] | the shell's `bpf` |
//! | [`helpers`] | what programs may call |
//! | [`maps`] | the maps of this kernel: ids, names, memory, and who holds them |
//! | [`jit`] | programs as machine code |
//! | [`interp`] | programs carried out one instruction after the other |
//!
//! What a program means, how it is written and what may be known of it is the crate `bpf`, which knows nothing of this kernel.

#[expect(unsafe_code, reason = "programs behind pointers that hits read without a lock")]
pub(crate) mod attach;
pub(crate) mod cmd;
#[allow(dead_code, reason = "who runs programs comes next")]
#[expect(unsafe_code, reason = "memory and functions of programs by their addresses")]
pub(crate) mod helpers;
#[expect(unsafe_code, reason = "loads and stores for verified programs")]
pub(crate) mod interp;
#[expect(unsafe_code, reason = "calls what it has compiled")]
pub(crate) mod jit;
#[allow(dead_code, reason = "commands come next")]
pub(crate) mod link;
pub(crate) mod load;
#[expect(unsafe_code, reason = "a map's timers by the map's address")]
pub(crate) mod maps;
#[expect(unsafe_code, reason = "code of the machine as a function")]
pub(crate) mod prog;
#[expect(unsafe_code, reason = "a per-CPU pointer to a record on the stack")]
pub(crate) mod run;
pub(crate) mod tests;
pub(crate) mod types;

pub(crate) use link::misses;
