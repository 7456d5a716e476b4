//! Events at the return of a function: `r:` lines, and `%return`.
//!
//! ```text
//!   r:done work_add r=$retval a=$arg1
//!                   │         └─▶ kept at the entry, with the call: Program::entry_args
//!                   └─▶ read at the return, from what the trampoline saved: FtraceRegs<Return>
//! ```
//!
//! Arguments are gone when a function returns, and so is every register that a call does not hand back. An argument of the
//! line that asks for one of those is refused where it stands, and the log names the register.

use alloc::sync::Arc;

use a64::Reg;
use tracecore::fetch::{Program, REGISTER_ARGS};
use tracecore::probe::{Arg, Definition, ErrorKind, Kind, ProbeError, place_error};

use super::SUBSYSTEM;
use super::recorder::Recording;
use crate::arch::probe_read;
use crate::ftrace::FtraceRegs;
use crate::ftrace::regs::Return;
use crate::rethook::{self, EntryRegs, Kretprobe, Listener, Returned, Verdict};
use crate::sync::CpuPin;

/// Records returns, with what was kept at the entry.
pub(super) struct ReturnRecorder(Recording);

impl ReturnRecorder {
    pub(super) const fn new(recording: Recording) -> Self {
        Self(recording)
    }

    /// How many returns it was told of.
    pub(super) fn hits(&self) -> u64 {
        self.0.hits()
    }
}

impl Listener for ReturnRecorder {
    fn entry(&self, regs: EntryRegs<'_>, data: &mut [u64], _: &CpuPin) -> Verdict {
        for (slot, arg) in data.iter_mut().zip(self.0.program().entry_args()) {
            *slot = match arg.checked_sub(REGISTER_ARGS) {
                None => regs.arg(*arg as u8),
                Some(word) => probe_read::read_u64(regs.sp() + u64::from(word) * 8).unwrap_or(0),
            };
        }
        Verdict::Keep
    }

    #[inline]
    fn exit(&self, returned: Returned<'_>, regs: &mut FtraceRegs<Return>, pin: &CpuPin) {
        let addresses = [returned.function(), regs.pc()];
        self.0.record(addresses, regs.registers(), returned.data(), pin);
    }

    fn has_entry(&self) -> bool {
        !self.0.program().entry_args().is_empty()
    }

    fn data_words(&self) -> usize {
        self.0.program().entry_args().len()
    }

    fn name(&self) -> &str {
        self.0.name()
    }
}

/// How many calls may be under way, as the files show it: a probe that asks for no number has one all the same.
pub(super) fn fill_in_maxactive(definition: &mut Definition) {
    if let Kind::Return { maxactive: maxactive @ None } = &mut definition.kind {
        *maxactive = Some(rethook::default_max_active());
    }
}

/// Refuses arguments that read what is not there at a return.
pub(super) fn check_needs(line: &str, definition: &Definition) -> Result<(), ProbeError> {
    let provides = FtraceRegs::<Return>::PROVIDES;
    let missing = |arg: &Arg| -> Option<Reg> {
        let program = Program::compile(core::slice::from_ref(arg), 0, true).ok()?;
        program.needs().first_missing(provides)
    };
    match definition.args.iter().enumerate().find_map(|(index, arg)| Some((index, missing(arg)?))) {
        None => Ok(()),
        Some((index, reg)) => {
            log::warn!("{SUBSYSTEM}: {reg} is not there when a function returns, only {provides} are");
            Err(tracecore::probe::arg_error(line, index, ErrorKind::NotSavedAtReturn))
        }
    }
}

/// Puts the recorder on the returns of the function, disarmed.
pub(super) fn register(
    line: &str,
    addr: u64,
    definition: &Definition,
    recorder: Arc<ReturnRecorder>,
) -> Result<Kretprobe, ProbeError> {
    let Kind::Return { maxactive } = definition.kind else {
        return Err(place_error(line, ErrorKind::BadReturnProbe));
    };
    Kretprobe::register(addr as usize, maxactive, recorder).map_err(|refusal| {
        log::warn!("{SUBSYSTEM}: the return of {} cannot be probed: {refusal}", definition.place);
        ProbeError { errno: refusal.errno(), ..place_error(line, ErrorKind::RegistrationFailed) }
    })
}
