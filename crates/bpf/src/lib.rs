//! BPF, the machine: instructions, text, an interpreter, a compiler.
//!
//! The source is RFC 9669 ("BPF Instruction Set Architecture"); where it is silent, what Linux does.
//!
//! ```text
//!   text ──parse──┐                       ┌──print──▶ text
//!                 ▼                       │
//!   bytes ──▶ Program (structure checked) ─┤
//!                                         └──▶ interp::run, with an Env for memory and helpers
//! ```
//!
//! | room | what |
//! |---|---|
//! | [`insn`] | 8 bytes, field by field |
//! | [`op`] | what an instruction means; decode and encode |
//! | [`program`] | many of them, with jumps that lead somewhere |
//! | [`text`] | assembler and disassembler, in the dialect of the RFC's examples |
//! | [`interp`] | runs them |
//! | [`map`] | what programs remember and share |
//! | [`jit`] | compiles them to A64 |
//! | [`printf`] | texts that programs make |
//! | [`sandbox`] | memory in which any program can be run |
//! | [`kind`] | where programs are attached, and what they are given there |
//! | [`helper`] | what they may call |
//! | [`object`] | objects of compilers, and texts with maps: programs and what they use |
//! | [`btf`] | types in objects, and what depends on the kernel's |
//! | [`types`] | what a kernel tells of its types |
//! | [`fuzz`] | programs at random, for comparing engines |
//! | [`histogram`] | what many a program counts, as text |
//! | [`vectors`] | what each instruction computes, at the edges |
//! | [`verify`] | what can be known without running them |
//!
//! Pure: no unsafe, no state, nothing of a machine. What runs in a probe ([`interp`]) allocates nothing and cannot panic.

#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod btf;
pub mod fuzz;
pub mod helper;
pub mod histogram;
pub mod insn;
pub mod interp;
pub mod jit;
pub mod kind;
pub mod map;
pub mod object;
pub mod op;
pub mod printf;
pub mod program;
pub mod sandbox;
pub mod text;
pub mod types;
pub mod vectors;
pub mod verify;

pub use insn::Insn;
pub use op::{Op, Reg};
pub use program::{Invalid, Program};
