//! Return hooks: being told when a function returns.
//!
//! There is no instruction to put a breakpoint on: a function has any number of `ret`s, and branches out of itself besides.
//! But it has one entry, and there its return address is in x30. Who puts another address there gets control when the
//! function is done:
//!
//! ```text
//!   caller        bl  foo                       x30 = caller+4
//!   foo           entry: a probe ──────────────▶ Hook::enter   keeps caller+4 on the task's shadow stack,
//!                                                              x30 = return_trampoline
//!                 …
//!                 ret ────────▶ return_trampoline              saves the results: FtraceRegs<Return> (`ftrace::regs`)
//!                                └▶ rethook_return             Hook::exit of each hook of this call, pc = caller+4
//!   caller+4 ◀── ret ────────────┘
//! ```
//!
//! One mechanism for every kind of listener. Return probes come in by the function's patched branch, or by a kprobe at its
//! entry; the users of `ftrace::graph` by the branches of many functions. All share the task's shadow stack.
//!
//! # What a trampoline cannot have
//!
//! An exception saves every register and PSTATE: `PtRegs`. A trampoline runs like code of the function: x9 to x18 are
//! whatever they are, nobody's; there is no PSTATE of an interrupted program, for nothing was interrupted. It saves what a
//! call or a return hands over and says so by its type, `FtraceRegs`; a listener that wants more is refused when it
//! is attached.
//!
//! | file | what |
//! |---|---|
//! | `branch` | the cheap way in |
//! | `entry` | what is known at an entry |
//! | `call` | a call at its entry, and those of the same hook that are under way |
//! | `shadow` | the shadow stack |
//! | `storage` | which task has one, since when, how long |
//! | `listener` | who is told |
//! | `hook` | how many calls may be under way, and the account of calls |
//! | `trampoline` | where hooked functions return to |
//! | `kretprobe` | return probes |

mod branch;
mod call;
mod entry;
mod hook;
mod kretprobe;
mod listener;
mod shadow;
mod storage;
pub(crate) mod tests;
mod trampoline;

pub(crate) use call::Call;
pub(crate) use entry::EntryRegs;
pub(crate) use hook::{Hook, Missed, Owner};
pub(crate) use kretprobe::{Kretprobe, MAX_ACTIVE, Refusal, arm_all, default_max_active, disarm_all};
pub(crate) use listener::{Listener, Returned, Verdict};
pub(crate) use shadow::{MAX_DATA_WORDS, SHADOW_BYTES};

use tracecore::errno::Errno;

use crate::sync::CpuPin;

/// A return probe that comes in by a branch, for the list of probes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    /// The function.
    pub(crate) addr: usize,
    /// Whether its listener is told of returns.
    pub(crate) armed: bool,
    /// What it calls itself.
    pub(crate) name: alloc::string::String,
}

/// All of those.
pub(crate) fn list() -> alloc::vec::Vec<Listed> {
    let mut all = alloc::vec::Vec::new();
    branch::for_each(|addr, armed, name| all.push(Listed { addr, armed, name: name.into() }));
    all
}

/// Where return addresses wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Memory of all shadow stacks.
    pub(crate) bytes: usize,
    /// Functions that ran unhooked because one was full.
    pub(crate) exhausted: u64,
}

/// What shadow stacks take.
pub(crate) fn usage() -> Result<Usage, Errno> {
    Ok(Usage { bytes: storage::bytes(), exhausted: storage::exhausted()? })
}

/// How many calls of the running task went without a hook because its shadow stack was full.
#[inline(always)]
pub(crate) fn overruns(pin: &CpuPin) -> u32 {
    shadow::Shadow::current(pin).map_or(0, |shadow| shadow.exhausted() as u32)
}

/// With `kprobes::set_enabled`: takes the branches of all return probes out of the text, or puts them back.
pub(crate) fn set_enabled(on: bool) -> Result<(), Errno> {
    branch::set_enabled(on)
}

/// Takes the slots of tasks and of the unwinder. Once, at boot.
pub(crate) fn init() -> Result<(), Errno> {
    storage::init()
}
