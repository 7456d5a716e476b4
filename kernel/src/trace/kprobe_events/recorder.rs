//! What runs at a hit of a probe that is an event.

use alloc::string::String;
use alloc::sync::Arc;

use tracecore::fetch::{Env, Hit, Program};
use tracecore::filter::Filter;

use crate::exception::PtRegs;
use crate::kprobes::{Flow, Handler};
use crate::sync::CpuPin;
use crate::task;
use crate::trace::counter::Counter;
use crate::trace::filters::EventFilter;
use crate::trace::names::Kernel;
use crate::trace::{buffer, comms};

const ENV: Env<'static> = Env { memory: &Kernel, symbols: &Kernel };

/// Counts the hit and records it, if the event's filter wants it.
pub(super) struct Recorder {
    id: u16,
    program: Program,
    hits: Counter,
    filter: Arc<EventFilter>,
    name: String,
}

impl Recorder {
    pub(super) fn new(id: u16, program: Program, filter: Arc<EventFilter>, name: String) -> Self {
        Self { id, program, hits: Counter::new(), filter, name }
    }

    /// How often it was called.
    pub(super) fn hits(&self) -> u64 {
        self.hits.sum()
    }

    /// A hit of an event that has a filter.
    #[inline(never)]
    fn judge(&self, filter: &Filter, addr: u64, regs: &PtRegs, pin: &CpuPin) {
        let needs_comm = self.program.has_texts() || filter.needs_comm();
        let comm = if needs_comm { task::current().comm() } else { [0; task::COMM_LEN] };
        let hit = Hit { regs: regs.user().into(), comm: &comm, entry_args: &[], env: &ENV };
        match buffer::record_probe_if(pin, filter, self.id, addr, &self.program, &hit) {
            Ok(true) => comms::note(),
            Ok(false) => self.filter.count(),
            // Counted by the ring.
            Err(_) => {}
        }
    }
}

impl Handler for Recorder {
    #[inline]
    fn pre(&self, addr: u64, regs: &mut PtRegs, pin: &CpuPin) -> Flow {
        self.hits.count();
        if let Some(filter) = self.filter.active(pin) {
            self.judge(filter, addr, regs, pin);
            return Flow::Continue;
        }
        let comm = if self.program.has_texts() { task::current().comm() } else { [0; task::COMM_LEN] };
        let hit = Hit { regs: regs.user().into(), comm: &comm, entry_args: &[], env: &ENV };
        // A record that is refused is counted by the ring.
        if buffer::record_probe(pin, self.id, addr, &self.program, &hit).is_ok() {
            comms::note();
        }
        Flow::Continue
    }

    fn name(&self) -> &str {
        &self.name
    }
}
