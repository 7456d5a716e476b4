//! Events of functions and of tracepoints: `f:` and `t:` lines of `dynamic_events`.
//!
//! ```text
//!   f:calls work_* a=$arg1         an fprobe on the entries: a branch, and what the branch has saved
//!   f:done work_add%return r=$retval a=$arg1      one on the returns; the argument is kept at the entry
//!   t:wakes sched_waking who=$arg1                a raw listener of the tracepoint: its arguments as words
//! ```
//!
//! Neither takes an exception. A tracepoint's arguments are the words that its macro was called with, counted from 1;
//! there are no registers, so `$stack` is refused. The record's address is the tracepoint's own. A tracepoint that does not exist may be named: it is never passed.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use a64::{CallRegs, RegSet, Registers};
use tracecore::errno::Errno;
use tracecore::fetch::{Program, REGISTER_ARGS};
use tracecore::probe::{Arg, Definition, ErrorKind, Kind, Place, ProbeError, arg_error, place_error};

use super::recorder::Recording;
use crate::arch::probe_read;
use crate::ftrace::fprobe::{self, At, Ends, Fprobe, Returned, Verdict};
use crate::ftrace::regs::{Entry, Return};
use crate::ftrace::{FtraceRegs, SiteSet};
use crate::rethook::Missed;
use crate::sync::CpuPin;
use crate::task::Mutex;
use crate::tracepoint::raw::{self, Hears};
use crate::tracepoint::{self, Registration};

/// The most arguments of a tracepoint that one probe keeps.
const MAX_WORDS: usize = 16;

/// Records the entries of functions, or their returns with what was kept at the entry.
struct FunctionRecorder {
    recording: Recording,
    is_return: bool,
}

impl fprobe::Handler for FunctionRecorder {
    #[inline(always)]
    fn entry(&self, at: At, regs: &mut FtraceRegs<Entry>, data: &mut [u64], pin: &CpuPin) -> Verdict {
        if !self.is_return {
            self.recording.record([at.ip as u64], regs.registers(), &[], pin);
            return Verdict::Keep;
        }
        for (slot, arg) in data.iter_mut().zip(self.recording.program().entry_args()) {
            *slot = match arg.checked_sub(REGISTER_ARGS) {
                None => regs.arg(usize::from(*arg)).unwrap_or(0),
                Some(word) => probe_read::read_u64(regs.sp() + u64::from(word) * 8).unwrap_or(0),
            };
        }
        Verdict::Keep
    }

    #[inline(always)]
    fn exit(&self, returned: Returned<'_>, regs: &mut FtraceRegs<Return>, pin: &CpuPin) {
        self.recording.record([returned.function(), regs.pc()], regs.registers(), returned.data(), pin);
    }

    fn data_words(&self) -> usize {
        self.recording.program().entry_args().len()
    }
}

/// The functions of a line, and what is recorded of them.
pub(super) struct FunctionProbe {
    functions: SiteSet,
    recorder: Arc<FunctionRecorder>,
    ends: Ends,
    on: Mutex<Option<Fprobe>>,
    /// Of the times before.
    missed: Mutex<Missed>,
}

impl FunctionProbe {
    pub(super) fn new(line: &str, definition: &Definition, recording: Recording) -> Result<Self, ProbeError> {
        let bad = place_error(line, ErrorKind::BadProbeAddress);
        let functions = match &definition.place {
            Place::Pattern(pattern) => fprobe::by_glob(pattern, None),
            place => {
                let address = place.address().ok_or(bad)?;
                fprobe::by_addresses(&[address as usize]).map_err(|_| bad)?
            }
        };
        let is_return = definition.is_return();
        let ends = match (is_return, recording.program().entry_args().is_empty()) {
            (false, _) => Ends::Entry,
            (true, true) => Ends::Exit,
            (true, false) => Ends::Both,
        };
        let recorder = Arc::new(FunctionRecorder { recording, is_return });
        let (on, missed) = (Mutex::new(None), Mutex::new(Missed::default()));
        Ok(Self { functions, recorder, ends, on, missed })
    }

    pub(super) fn switch(&self, on: bool) -> Result<(), Errno> {
        let mut registered = self.on.lock();
        match (on, registered.take()) {
            (true, None) => {
                let probe = Fprobe::register(self.recorder.clone(), self.ends, self.functions.clone())?;
                *registered = Some(probe);
            }
            (true, on) => *registered = on,
            (false, Some(probe)) => *self.missed.lock() += probe.missed(),
            (false, None) => {}
        }
        Ok(())
    }

    pub(super) fn hits(&self) -> u64 {
        self.recorder.recording.hits()
    }

    /// Calls that were not recorded, by cause.
    pub(super) fn missed(&self) -> Missed {
        let on = self.on.lock();
        let mut missed = *self.missed.lock();
        if let Some(probe) = &*on {
            missed += probe.missed();
        }
        missed
    }
}

/// Records what a tracepoint hands over.
struct TracepointRecorder {
    recording: Recording,
    /// The tracepoint.
    address: AtomicU64,
}

/// A tracepoint has no registers.
const NO_REGISTERS: CallRegs = CallRegs { x: [0; 9], sp: 0, link: 0, pc: 0, fp: 0, lr: 0 };

impl Hears for TracepointRecorder {
    fn hear(&self, words: &[u64], pin: &CpuPin) {
        let wanted = self.recording.program().entry_args();
        let mut kept = [0; MAX_WORDS];
        for (slot, number) in kept.iter_mut().zip(wanted) {
            *slot = words.get(usize::from(*number)).copied().unwrap_or(0);
        }
        let kept = kept.get(..wanted.len()).unwrap_or_default();
        let address = self.address.load(Ordering::Relaxed);
        self.recording.record([address], Registers::Call(&NO_REGISTERS), kept, pin);
    }
}

/// The tracepoint of a line, and what is recorded of it.
pub(super) struct TracepointProbe {
    name: alloc::string::String,
    recorder: Arc<TracepointRecorder>,
    on: Mutex<Option<Registration>>,
}

impl TracepointProbe {
    pub(super) fn new(line: &str, definition: &Definition, recording: Recording) -> Result<Self, ProbeError> {
        let needs = |arg: &Arg| {
            let program = Program::compile(core::slice::from_ref(arg), 0, true).ok();
            program.is_some_and(|program| program.needs().first_missing(RegSet::EMPTY).is_some())
        };
        if let Some(index) = definition.args.iter().position(needs) {
            return Err(arg_error(line, index, ErrorKind::BadVariable));
        }
        if recording.program().entry_args().len() > MAX_WORDS {
            return Err(place_error(line, ErrorKind::TooManyArgs));
        }
        let name = definition.place.symbol().unwrap_or_default().into();
        let recorder = Arc::new(TracepointRecorder { recording, address: AtomicU64::new(0) });
        Ok(Self { name, recorder, on: Mutex::new(None) })
    }

    pub(super) fn switch(&self, on: bool) -> Result<(), Errno> {
        let mut registered = self.on.lock();
        match (on, &*registered, tracepoint::find(&self.name)) {
            (true, None, Some(point)) => {
                let address = core::ptr::from_ref(point).addr();
                self.recorder.address.store(address as u64, Ordering::Relaxed);
                *registered = Some(raw::attach_listener(point, self.recorder.clone(), 0)?);
            }
            // Dropping waits until nobody hears it any more.
            (false, ..) => *registered = None,
            _ => {}
        }
        Ok(())
    }

    pub(super) fn hits(&self) -> u64 {
        self.recorder.recording.hits()
    }
}

/// Is it a line of this file?
pub(super) fn is_one(definition: &Definition) -> bool {
    matches!(definition.kind, Kind::Function { .. } | Kind::Tracepoint)
}
