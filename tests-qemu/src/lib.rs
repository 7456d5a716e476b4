//! Cases that boot the kernel: text in, text out.
//!
//! ```text
//!   cases/*.case ─┐                                             ┌▶ compare (mask) ─▶ one result a case
//!   docs/**/*.md ─┴▶ transcript ─▶ batch ─▶ one machine a group ┤
//!   selftest ──────────────────────────────────────────────────┴▶ ktap ─────────▶ one result a line
//! ```
//!
//! Booting costs more than almost any case, so cases that want the same machine share a boot: their lines
//! go into one script, and the kernel's script runner marks the end of each line on standard output
//! ([`batch`]). A case that brings the machine down fails alone; those behind it get another boot.
//!
//! What a case looks like is told in [`case`], what a transcript in a page looks like in [`doc`].

pub mod batch;
pub mod case;
pub mod compare;
pub mod doc;
pub mod ktap;
pub mod mask;
pub mod transcript;
