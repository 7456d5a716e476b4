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

use alloc::string::String;
use alloc::sync::Arc;

use a64::Reg;
use tracecore::fetch::{Env, Hit, Program, REGISTER_ARGS};
use tracecore::filter::Filter;
use tracecore::probe::{Arg, Definition, ErrorKind, Kind, ProbeError, place_error};

use super::SUBSYSTEM;
use crate::arch::probe_read;
use crate::ftrace::FtraceRegs;
use crate::ftrace::regs::Return;
use crate::rethook::{self, EntryRegs, Kretprobe, Listener, Returned, Verdict};
use crate::sync::CpuPin;
use crate::task;
use crate::trace::counter::Counter;
use crate::trace::filters::EventFilter;
use crate::trace::names::Kernel;
use crate::trace::{buffer, comms};

const ENV: Env<'static> = Env { memory: &Kernel, symbols: &Kernel };

/// Counts returns and records them, if the event's filter wants it.
pub(super) struct ReturnRecorder {
    id: u16,
    program: Program,
    hits: Counter,
    filter: Arc<EventFilter>,
    name: String,
}

impl ReturnRecorder {
    pub(super) fn new(id: u16, program: Program, filter: Arc<EventFilter>, name: String) -> Self {
        Self { id, program, hits: Counter::new(), filter, name }
    }

    /// How many returns it was told of.
    pub(super) fn hits(&self) -> u64 {
        self.hits.sum()
    }

    /// A return, of an event that has a filter.
    #[inline(never)]
    fn judge(&self, filter: &Filter, returned: Returned<'_>, regs: &FtraceRegs<Return>, pin: &CpuPin) {
        let needs_comm = self.program.has_texts() || filter.needs_comm();
        let comm = if needs_comm { task::current().comm() } else { [0; task::COMM_LEN] };
        let hit = Hit { regs: regs.registers(), comm: &comm, entry_args: returned.data(), env: &ENV };
        let (function, return_ip) = (returned.function(), regs.pc());
        match buffer::record_return_if(pin, filter, self.id, function, return_ip, &self.program, &hit) {
            Ok(true) => comms::note(),
            Ok(false) => self.filter.count(),
            // Counted by the ring.
            Err(_) => {}
        }
    }
}

impl Listener for ReturnRecorder {
    fn entry(&self, regs: EntryRegs<'_>, data: &mut [u64], _: &CpuPin) -> Verdict {
        for (slot, arg) in data.iter_mut().zip(self.program.entry_args()) {
            *slot = match arg.checked_sub(REGISTER_ARGS) {
                None => regs.arg(*arg as u8),
                Some(word) => probe_read::read_u64(regs.sp() + u64::from(word) * 8).unwrap_or(0),
            };
        }
        Verdict::Keep
    }

    #[inline]
    fn exit(&self, returned: Returned<'_>, regs: &mut FtraceRegs<Return>, pin: &CpuPin) {
        self.hits.count();
        if let Some(filter) = self.filter.active(pin) {
            self.judge(filter, returned, regs, pin);
            return;
        }
        let comm = if self.program.has_texts() { task::current().comm() } else { [0; task::COMM_LEN] };
        let hit = Hit { regs: regs.registers(), comm: &comm, entry_args: returned.data(), env: &ENV };
        let (function, return_ip) = (returned.function(), regs.pc());
        // A record that is refused is counted by the ring.
        if buffer::record_return(pin, self.id, function, return_ip, &self.program, &hit).is_ok() {
            comms::note();
        }
    }

    fn has_entry(&self) -> bool {
        !self.program.entry_args().is_empty()
    }

    fn data_words(&self) -> usize {
        self.program.entry_args().len()
    }

    fn name(&self) -> &str {
        &self.name
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
