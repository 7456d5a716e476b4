//! kprobes: a breakpoint on any instruction, a handler before (and after) it.
//!
//! # The life of a hit
//!
//! ```text
//!   … ldr x1, [x0]          the probed word is BRK #4 while armed; the original waits in a slot
//!        │ BRK exception: everything is saved into a PtRegs, all of DAIF is masked
//!        ▼
//!   hit::brk ── lookup ──▶ no probe here: a CPU has just removed it, the word is the original again: resume
//!        │
//!        ├─ handlers of another probe are running on this CPU: count a miss, run no handler
//!        ├─ else run the handlers ──▶ one has diverted the flow: resume where it says
//!        ▼
//!   how does the word execute?
//!        ├─ simulate   on the saved registers (branches, PC-relative words) ──▶ post handlers, resume
//!        ├─ boost      resume in the slot, masked as the interrupted code was; no second exception
//!        │                 ldr x1, [x0]      the original word
//!        │                 b                 behind the probe
//!        └─ step       a handler wants to be called afterwards: resume in the slot with DAIF masked
//!                          ldr x1, [x0]
//!                          brk #6
//!                            │ BRK exception
//!                            ▼
//!                      hit::step_done: PC behind the probe, DAIF as it was, the post handlers
//! ```
//!
//! A word that faults in its slot has its PC put back on the probe first, and the fault is what it would have been without.
//!
//! # Boosted and stepped
//!
//! The two differ in the slot's second word and in a word of the point that `hit::brk` reads, and a post handler may come and
//! go while other CPUs run through. The rule is: *a CPU that steps finds BRK #6*. So the orders are
//!
//! | change | first | then | a CPU in between |
//! |---|---|---|---|
//! | boosted → stepped | the slot ends in BRK #6, on every CPU | the point says *step* | boosted itself, meets BRK #6 without a step: goes on behind the probe |
//! | stepped → boosted | the point says *boost* | after a quiet point, the slot ends in a branch | boosts, meets BRK #6: the same. Who steps ends before its quiet point. If the probe has stepped again meanwhile, that was not the quiet point to wait for: the branch is left to the next change |
//!
//! Handlers that see to their own re-entry are *open* ([`Handler::is_open`]): a hit of such a probe in the midst of another such
//! runs its handlers instead of counting a miss, to a bounded depth.
//!
//! What a CPU keeps between these exceptions, and why two words are enough at any depth, is `tracecore::reentry`.
//!
//! # Placing and arming
//!
//! | state | text | table | slot | |
//! |---|---|---|---|---|
//! | registered | original | published | filled | `Kprobe::register` |
//! | armed | BRK #4 | published | filled | `arm`: one transaction for a whole batch |
//! | removed | original | unlinked | freed after a quiet point | dropping the `Kprobe` |
//!
//! A probe cannot be armed before it is published: arming takes a registered [`Kprobe`].
//!
//! | file | what |
//! |---|---|
//! | `place` | may this word be probed, and how does it execute? |
//! | `table` | address → point, read without a lock |
//! | `point` | a probed address and its handlers |
//! | `register` | registering, arming and disarming, one or many |
//! | `list` | what there is, for those who show it |
//! | `hit`   | the exceptions; the only part that runs at a hit, and never traced or probed |
//! | `entry` | probes at the entry of a function, which need no exception |

mod entry;
mod hit;
mod list;
mod place;
mod point;
mod register;
mod table;
pub(crate) mod tests;

pub(crate) use entry::{EntryHandler, PROVIDES as ENTRY_PROVIDES};
pub(crate) use hit::{as_handler, in_handler, may_nest};
pub(crate) use list::{list, original};
pub(crate) use place::{Refusal, check};
pub(crate) use point::{BYTES_PER_PROBE, Flavour, Flow, Handler};
pub(crate) use register::{Kprobe, arm_all, disarm_all, enabled, hand_over, set_enabled};

use tracecore::errno::Errno;

/// BRK immediate of a probe; Linux's (`arch/arm64/include/asm/brk-imm.h`).
pub(crate) const BRK_PROBE: u16 = 0x004;
/// BRK immediate behind a word that is stepped; Linux's.
pub(crate) const BRK_STEP_DONE: u16 = 0x006;

/// Takes the two breakpoints and a fault slot. Once, at boot.
pub(crate) fn init() -> Result<(), Errno> {
    crate::exception::register_brk(BRK_PROBE, hit::brk).map_err(|_| Errno::EBUSY)?;
    crate::exception::register_brk(BRK_STEP_DONE, hit::step_done).map_err(|_| Errno::EBUSY)?;
    crate::exception::register_fault(hit::fault).map_err(|_| Errno::EBUSY)?;
    crate::text::register_owner(list::owner)
}
