//! Attaching: a program on a hook.
//!
//! ```text
//!   attach(program, target) ─▶ Attachment ─┬─ the registration at the hook: kprobe, fprobe, tracepoint, timer
//!                                          └─ Hooked: the program that hits run, and can be replaced
//! ```
//!
//! Every hook of this kernel has its own way of calling a handler; a file of this room is such a handler that runs a program.
//! What differs is what lies in r1:
//!
//! | section | file | way in | what lies at r1 |
//! |---|---|---|---|
//! | `kprobe/` | `kprobe` | breakpoint | the `PtRegs` of the exception |
//! | `kretprobe/` | `kprobe` | return hook | the `FtraceRegs` of the return, where the program's accesses were sent to |
//! | `kprobe.multi/`, `fprobe/` | `multi` | patched branches | the `FtraceRegs` of the entry |
//! | `kretprobe.multi/`, `fprobe.exit/` | `multi` | patched branches, return hook | the `FtraceRegs` of the return |
//! | `tracepoint/`, `tp/` | `tracepoint` | tracepoint | the event's record |
//! | `raw_tracepoint/`, `raw_tp/`, `tp_btf/` | `tracepoint` | tracepoint | its arguments as words |
//! | `fentry/`, `fexit/`, `fmod_ret/` | `trampoline` | a trampoline made for the function | its registers of arguments, and the result behind them |
//! | `perf_event` | `sample` | timer's interrupt | the `PtRegs` of what was interrupted |
//!
//! A program runs pinned to its CPU, and is protected for itself ([`Prog::run`](super::prog::Prog::run)). So handlers here are
//! *open* (`kprobes::Handler::is_open`): what the path of one program hits runs other programs, and only a program that
//! hits itself is a miss.
//!
//! Several programs on one hook run in the order in which they were attached; at returns in the opposite one where they came
//! in by entries on the shadow stack, as calls return.
//!
//! Detaching is dropping: then the hook calls no more, and what it called has returned.

pub(crate) mod context;
mod hooked;
mod kprobe;
mod multi;
mod sample;
mod target;
pub(crate) mod tests;
mod tracepoint;
mod trampoline;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use ::bpf::kind::Attach;
use tracecore::errno::Errno;
use tracecore::misses::Cause;

use super::prog::{Engine, Prog};

pub(crate) use hooked::Hooked;

/// Why a program is not attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// The error number for a user.
    pub(crate) errno: Errno,
    /// The reason, in words.
    pub(crate) why: String,
}

impl Refused {
    fn new(errno: Errno, why: impl Into<String>) -> Self {
        Self { errno, why: why.into() }
    }
}

impl From<Errno> for Refused {
    fn from(errno: Errno) -> Self {
        Self::new(errno, errno.strerror())
    }
}

impl core::fmt::Display for Refused {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.why)
    }
}

/// A program at its hook. Dropping it detaches; this sleeps.
pub(crate) trait Attachment: Send + Sync {
    /// The program.
    fn hooked(&self) -> &Hooked;

    /// How hits come: `brk`, `ftrace`, `multi`, …
    fn flavour(&self) -> &'static str;

    /// How many places are hooked.
    fn places(&self) -> usize {
        1
    }

    /// Their addresses, each with its cookie; for hooks that have one.
    fn at(&self) -> Vec<(u64, u64)>;

    /// Hits that did not come as far as the program, by cause.
    fn missed(&self) -> Vec<(Cause, u64)>;
}

/// To what, and with what.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wanted<'a> {
    /// What stands behind the first slash of a section's name.
    pub(crate) target: &'a str,
    /// What `get_attach_cookie` gives: nothing, one for all, or one for each name of a list.
    pub(crate) cookies: &'a [u64],
}

/// Attaches a program as its section says, to `wanted`.
///
/// # Errors
/// EINVAL: the target is not one of this way to attach. ENOENT: there is no such thing. Why it cannot be hooked. EACCES: the
/// program was not verified. ENOMEM. Nothing is changed then.
pub(crate) fn attach(prog: &Arc<Prog>, wanted: Wanted<'_>) -> Result<Box<dyn Attachment>, Refused> {
    let attach = prog.parts().attach;
    if matches!(prog.parts().engine, Engine::Sandbox) {
        return Err(Refused::new(Errno::EACCES, "nobody has verified the program"));
    }
    match attach {
        Attach::Kprobe => kprobe::at_instruction(prog, wanted),
        Attach::Kretprobe => kprobe::at_return(prog, wanted),
        Attach::KprobeMulti | Attach::KretprobeMulti | Attach::FprobeEntry | Attach::FprobeExit => {
            multi::at_functions(prog, wanted, attach)
        }
        Attach::Fentry | Attach::Fexit | Attach::FmodRet => trampoline::at_function(prog, wanted, attach),
        Attach::PerfEvent => sample::at_samples(prog, wanted),
        Attach::Tracepoint => tracepoint::at_record(prog, wanted),
        Attach::RawTracepoint | Attach::TpBtf => tracepoint::at_arguments(prog, wanted),
        Attach::Syscall => Err(Refused::new(Errno::EINVAL, "programs of `syscall` are run, not attached")),
    }
}
