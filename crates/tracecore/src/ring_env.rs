//! What [`ring`](crate::ring) stands on: its atomic word, its fences and the size of its pages.
//!
//! The ring's source is compiled three times, each time against another module of this name: here, with the
//! processor's own atomics and 4 KiB pages; in `tests/ring_loom.rs`, with the model checker's atomics; in
//! `tests/ring_nested.rs`, with atomics that let a nested writer in before every single access. The two tests
//! use tiny pages, so that few events reach every page crossing.

pub(crate) use core::sync::atomic::{AtomicU64 as Word, Ordering, fence};

/// The binary logarithm of the words in a page: 512 words, 4 KiB.
pub(crate) const OFF_BITS: u32 = 9;
