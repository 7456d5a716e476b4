//! Kernel text: what may be changed, by whom, and the one writer that does.
//!
//! ```text
//!   keys, ftrace, kprobes          collect (address, expected, new)
//!            │
//!            ▼
//!   patch::Transaction::commit     1 check every word            → error: which address held what; nothing changed
//!            │                     2 does the architecture allow each change while it is executed?
//!            │                          yes: no CPU is stopped        no: all CPUs stop, once for the batch
//!            │                     3 write through the fixmap alias, clean and invalidate caches
//!            │                     4 every CPU synchronises its context
//!            ▼
//!   caller publishes
//! ```
//!
//! | file | what |
//! |---|---|
//! | `patch`  | the transaction: the only writer of text |
//! | `ranges` | what lies where, and what may be probed |
//! | `slots`  | executable slots in which probed instructions execute, and when they are free again |
//! | `programs` | executable memory for compiled programs |
//! | `owner`  | who changed a word, for those who ask |

mod owner;
mod patch;
pub(crate) mod programs;
pub(crate) mod ranges;
pub(crate) mod slots;
pub(crate) mod tests;

pub(crate) use owner::{OwnedWord, owner_of, register_owner};
pub(crate) use patch::{Patch, PatchError, Transaction, commit, read_word};
