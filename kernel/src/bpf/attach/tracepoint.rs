//! Programs at tracepoints: with the event's record, and with the arguments.
//!
//! ```text
//!   tp/sched/sched_switch   walk ─▶ the event's function fills a record ─▶ OnRecord ─▶ program   r1 = the record
//!   raw_tp/sched_switch     walk ─▶ the arguments as words ─▶ OnArguments ─▶ program             r1 = the words
//! ```
//!
//! The record is made for this program alone, on the stack; that the event is recorded in a ring is not needed, nor does it
//! matter. A record whose texts make it longer than [`ROOM`] words is not shown, and counted.

use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use ::bpf::kind::{Attach, MAX_ARGS};
use tracecore::errno::Errno;
use tracecore::misses::Cause;

use super::{Attachment, Hooked, Refused, Wanted, context};
use crate::bpf::prog::Prog;
use crate::bpf::run::Way;
use crate::sync::CpuPin;
use crate::trace::stage;
use crate::tracepoint::raw::{self, Hears};
use crate::tracepoint::{self, Registration, Sink, Tail, Tracepoint};

/// Words of a record with texts behind its fixed part.
const ROOM: usize = 160;

/// With the record.
struct OnRecord {
    hooked: Hooked,
    too_long: AtomicU64,
}

impl OnRecord {
    #[inline(always)]
    fn run(&self, record: &[u64]) {
        // SAFETY: taps are called by the walk of a tracepoint, which pins the task.
        let pin = unsafe { CpuPin::assume() };
        self.hooked.run(Way::Memory, record.as_ptr(), 0, &pin);
    }
}

impl Sink for OnRecord {
    fn record(&self, words: &mut [u64]) {
        self.run(words);
    }

    fn record_with(&self, words: &mut [u64], tails: &[Tail<'_>]) {
        let mut room = [0; ROOM];
        match stage(words, tails, &mut room) {
            Some(_) => self.run(&room),
            None => {
                self.too_long.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// With the arguments.
struct OnArguments {
    hooked: Hooked,
    /// So many words the program may read.
    reads: usize,
}

impl Hears for OnArguments {
    fn hear(&self, words: &[u64], pin: &CpuPin) {
        if words.len() >= self.reads {
            self.run(words.as_ptr(), words.len(), pin);
        } else {
            self.run_with_zeros(words, pin);
        }
    }
}

impl OnArguments {
    #[inline(always)]
    fn run(&self, args: *const u64, count: usize, pin: &CpuPin) {
        let way = Way::Args { count: count.min(MAX_ARGS) as u8, result: false };
        self.hooked.run(way, args, 0, pin);
    }

    /// A program that was not verified for this tracepoint reads as many as there can be.
    #[cold]
    fn run_with_zeros(&self, words: &[u64], pin: &CpuPin) {
        let mut args = [0; MAX_ARGS];
        for (to, from) in args.iter_mut().zip(words) {
            *to = *from;
        }
        self.run(args.as_ptr(), words.len(), pin);
    }
}

/// What is called, and by which of the two ways.
enum Listens {
    Record(Arc<OnRecord>),
    Arguments(Arc<OnArguments>),
}

struct AtTracepoint {
    // Dropped first: then nobody runs the program.
    _registration: Registration,
    listens: Listens,
    point: &'static Tracepoint,
    /// What the tracepoint had missed before.
    missed_before: u64,
}

impl Attachment for AtTracepoint {
    fn hooked(&self) -> &Hooked {
        match &self.listens {
            Listens::Record(on) => &on.hooked,
            Listens::Arguments(on) => &on.hooked,
        }
    }

    fn flavour(&self) -> &'static str {
        match &self.listens {
            Listens::Record(_) => "tracepoint",
            Listens::Arguments(_) => "raw",
        }
    }

    fn at(&self) -> Vec<(u64, u64)> {
        Vec::new()
    }

    fn missed(&self) -> Vec<(Cause, u64)> {
        let too_long = match &self.listens {
            Listens::Record(on) => on.too_long.load(Ordering::Relaxed),
            Listens::Arguments(_) => 0,
        };
        vec![(Cause::Recursion, self.point.missed() - self.missed_before), (Cause::TooLong, too_long)]
    }
}

/// The tracepoint of a name, with or without its folder.
pub(super) fn find(text: &str) -> Result<&'static Tracepoint, Refused> {
    let (system, name) =
        text.split_once(['/', ':']).map_or((None, text), |(system, name)| (Some(system), name));
    if name.is_empty() {
        return Err(Refused::new(Errno::EINVAL, "attach to what? the section does not say"));
    }
    tracepoint::find(name)
        .filter(|point| system.is_none_or(|system| system == point.system()))
        .ok_or_else(|| Refused::new(Errno::ENOENT, format!("there is no tracepoint `{text}`")))
}

/// Was the program verified for this one's record, or arguments?
fn same(prog: &Prog, point: &'static Tracepoint) -> Result<(), Refused> {
    let address = |point: &'static Tracepoint| core::ptr::from_ref(point).addr();
    context::same(prog, address(point), |target| find(target).map(address))
}

fn at(
    point: &'static Tracepoint,
    registration: Result<Registration, Errno>,
    listens: Listens,
) -> Result<Box<dyn Attachment>, Refused> {
    let missed_before = point.missed();
    Ok(Box::new(AtTracepoint { _registration: registration?, listens, point, missed_before }))
}

/// `tp/…`.
pub(super) fn at_record(prog: &Arc<Prog>, wanted: Wanted<'_>) -> Result<Box<dyn Attachment>, Refused> {
    let point = find(wanted.target)?;
    same(prog, point)?;
    let cookie = wanted.cookies.first().copied().unwrap_or(0);
    let on = Arc::new(OnRecord { hooked: Hooked::new(prog, cookie), too_long: AtomicU64::new(0) });
    at(point, tracepoint::tap(point, on.clone(), 0), Listens::Record(on))
}

/// `raw_tp/…`, `tp_btf/…`.
pub(super) fn at_arguments(prog: &Arc<Prog>, wanted: Wanted<'_>) -> Result<Box<dyn Attachment>, Refused> {
    let point = find(wanted.target)?;
    // Without types, arguments that are not there are 0.
    if prog.parts().attach == Attach::TpBtf {
        same(prog, point)?;
    }
    let cookie = wanted.cookies.first().copied().unwrap_or(0);
    let reads = (prog.parts().context_bytes as usize).div_ceil(8);
    let on = Arc::new(OnArguments { hooked: Hooked::new(prog, cookie), reads });
    at(point, raw::attach_listener(point, on.clone(), 0), Listens::Arguments(on))
}
