//! What runs at a hit of a probe that is an event, and at a return.

use alloc::string::String;
use alloc::sync::Arc;

use a64::Registers;
use tracecore::fetch::{COMM_LEN, Comm, Env, Hit, Program};
use tracecore::filter::{Context, Filter};

use crate::arch::cpu;
use crate::exception::PtRegs;
use crate::kprobes::{Flow, Handler};
use crate::sync::CpuPin;
use crate::task;
use crate::trace::counter::Counter;
use crate::trace::filters::EventFilter;
use crate::trace::names::Kernel;
use crate::trace::{buffer, clock, comms, pids, rings};

const ENV: Env<'static> = Env { memory: &Kernel, symbols: &Kernel };

/// What a probe that is an event records, and with which filter: the same at an instruction and at a return.
pub(super) struct Recording {
    id: u16,
    program: Program,
    hits: Counter,
    filter: Arc<EventFilter>,
    name: String,
}

/// The most addresses that stand before the arguments: function and return address.
const MAX_ADDRESSES: usize = 2;

impl Recording {
    pub(super) fn new(id: u16, program: Program, filter: Arc<EventFilter>, name: String) -> Self {
        Self { id, program, hits: Counter::new(), filter, name }
    }

    /// How often it was called.
    pub(super) fn hits(&self) -> u64 {
        self.hits.sum()
    }

    pub(super) fn program(&self) -> &Program {
        &self.program
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Counts a hit and records it, if the event's filter wants it.
    #[inline(always)]
    pub(super) fn record<const N: usize>(
        &self,
        addresses: [u64; N],
        regs: Registers<'_>,
        entry_args: &[u64],
        pin: &CpuPin,
    ) {
        self.hits.count();
        if !pids::wanted(pin, || None) {
            return;
        }
        let filter = self.filter.active(pin);
        // Nothing is kept over a call on this way, so no register is saved for one.
        if let (None, Some(plain), Some(ring)) = (filter, self.program.plain(), rings::this(pin))
            && plain.write(regs, buffer::header(self.id), addresses, ring, clock::now)
        {
            return comms::note();
        }
        self.record_fully(filter, &addresses, regs, entry_args, pin);
    }

    /// The hits that are not the common one: the event has a filter, its records have more than registers, or the ring
    /// is to change its page.
    #[inline(never)]
    fn record_fully(
        &self,
        filter: Option<&Filter>,
        addresses: &[u64],
        regs: Registers<'_>,
        entry_args: &[u64],
        pin: &CpuPin,
    ) {
        let Some(ring) = rings::this(pin) else { return };
        let mut head = [buffer::header(self.id); 1 + MAX_ADDRESSES];
        for (to, from) in head.iter_mut().skip(1).zip(addresses) {
            *to = *from;
        }
        let head = head.get(..1 + addresses.len()).unwrap_or_default();
        let name =
            if filter.is_some_and(Filter::needs_comm) { task::current().comm() } else { [0; COMM_LEN] };
        let context = Context { cpu: cpu::id(), comm: &name };
        let unwritten = filter.and_then(|filter| self.program.unwritten(filter, head, regs, entry_args));
        let undecided = match (filter, unwritten) {
            (Some(filter), Some(unwritten)) if !filter.accepts_unwritten(&unwritten, &context) => {
                return self.filter.count();
            }
            (_, Some(_)) => None,
            (filter, None) => filter,
        };
        let comm = if self.program.has_texts() { task::current().comm_words() } else { [0; 2] };
        let hit = Hit { regs, comm: Comm(comm), entry_args, env: &ENV };
        let written = match undecided {
            None => self.program.write(&hit, head, ring, clock::now),
            Some(filter) => match self.program.write_if(filter, &context, &hit, head, ring, clock::now) {
                Ok(true) => Ok(()),
                Ok(false) => return self.filter.count(),
                Err(refused) => Err(refused),
            },
        };
        // A record that is refused is counted by the ring.
        if written.is_ok() {
            comms::note();
        }
    }
}

/// Records the hits of an instruction.
pub(super) struct Recorder(Recording);

impl Recorder {
    pub(super) const fn new(recording: Recording) -> Self {
        Self(recording)
    }

    /// How often it was called.
    pub(super) fn hits(&self) -> u64 {
        self.0.hits()
    }
}

impl Handler for Recorder {
    #[inline]
    fn pre(&self, addr: u64, regs: &mut PtRegs, pin: &CpuPin) -> Flow {
        self.0.record([addr], regs.user().into(), &[], pin);
        Flow::Continue
    }

    fn name(&self) -> &str {
        self.0.name()
    }
}
