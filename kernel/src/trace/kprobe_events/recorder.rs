//! What runs at a hit of a probe that is an event, and at a return.

use alloc::string::String;
use alloc::sync::Arc;

use a64::Registers;
use tracecore::fetch::{COMM_LEN, Comm, Env, Hit, Program};
use tracecore::filter::{Context, Filter};

use crate::arch::cpu;
use crate::exception::PtRegs;
use crate::ftrace::FtraceRegs;
use crate::ftrace::regs::Entry;
use crate::kprobes::{ENTRY_PROVIDES, EntryHandler, Flow, Handler};
use crate::sync::CpuPin;
use crate::task;
use crate::trace::counter::Counter;
use crate::trace::filters::EventFilter;
use crate::trace::names::Kernel;
use crate::trace::{buffer, clock, comms, gate, rings};

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
        if !gate::is_open(pin, &self.filter, || None) {
            return;
        }
        if let Some(filter) = self.filter.active(pin) {
            return self.judge(filter, &addresses, regs, entry_args, pin);
        }
        // Nothing is kept over a call on this way, so no register is saved for one.
        if let (Some(plain), Some(ring)) = (self.program.plain(), rings::this(pin))
            && plain.write(regs, buffer::header(self.id), addresses, ring, clock::now)
        {
            return comms::note();
        }
        self.write(buffer::header(self.id), &addresses, regs, entry_args, pin);
    }

    /// A hit whose records have more than registers, or for which the ring is to change its page.
    #[inline(never)]
    fn write(&self, header: u64, addresses: &[u64], regs: Registers<'_>, entry_args: &[u64], pin: &CpuPin) {
        let Some(ring) = rings::this(pin) else { return };
        let hit = self.hit(regs, entry_args);
        // A record that is refused is counted by the ring.
        if self.program.write(&hit, header, addresses, ring, clock::now).is_ok() {
            comms::note();
        }
    }

    #[inline(always)]
    fn hit<'a>(&self, regs: Registers<'a>, entry_args: &'a [u64]) -> Hit<'a> {
        let comm =
            if self.program.has_texts() { Comm::new(task::current().comm_words()) } else { Comm::default() };
        Hit { regs, comm, entry_args, env: &ENV }
    }

    /// A hit of an event that has a filter. What registers tell is judged before there is a record.
    #[inline(never)]
    fn judge(
        &self,
        filter: &Filter,
        addresses: &[u64],
        regs: Registers<'_>,
        entry_args: &[u64],
        pin: &CpuPin,
    ) {
        // The header is made for a filter that asks for it, and for a record.
        let mut head = [0; 1 + MAX_ADDRESSES];
        for (to, from) in head.iter_mut().skip(1).zip(addresses) {
            *to = *from;
        }
        if filter.needs_header() {
            head[0] = buffer::header(self.id);
        }
        let head = head.get(..1 + addresses.len()).unwrap_or_default();
        let wanted = match (self.program.plain(), filter.numbers()) {
            (Some(plain), Some(numbers)) => numbers.accept(head, plain, regs),
            _ => return self.judge_fully(filter, head, regs, entry_args, pin),
        };
        if wanted {
            self.write(buffer::header(self.id), addresses, regs, entry_args, pin);
        } else {
            self.filter.count();
        }
    }

    /// The filter asks for a text or the CPU, or the record has fields that are no plain registers.
    #[inline(never)]
    fn judge_fully(
        &self,
        filter: &Filter,
        head: &[u64],
        regs: Registers<'_>,
        entry_args: &[u64],
        pin: &CpuPin,
    ) {
        let (Some(ring), Some((_, addresses))) = (rings::this(pin), head.split_first()) else { return };
        let name = if filter.needs_comm() { task::current().comm() } else { [0; COMM_LEN] };
        let context = Context { cpu: cpu::id(), comm: &name };
        if let Some(unwritten) = self.program.unwritten(filter, head, regs, entry_args) {
            if filter.accepts_unwritten(&unwritten, &context) {
                self.write(buffer::header(self.id), addresses, regs, entry_args, pin);
            } else {
                self.filter.count();
            }
            return;
        }
        let hit = self.hit(regs, entry_args);
        let header = buffer::header(self.id);
        match self.program.write_if(filter, &context, &hit, header, addresses, ring, clock::now) {
            Ok(true) => comms::note(),
            Ok(false) => self.filter.count(),
            // Counted by the ring.
            Err(_) => {}
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

    fn at_entry(&self) -> Option<&(dyn EntryHandler + 'static)> {
        let missing = self.0.program().needs().first_missing(ENTRY_PROVIDES);
        if missing.is_none() { Some(self) } else { None }
    }

    fn name(&self) -> &str {
        self.0.name()
    }
}

impl EntryHandler for Recorder {
    #[inline]
    fn hit(&self, addr: u64, regs: &FtraceRegs<Entry>, pin: &CpuPin) {
        self.0.record([addr], regs.registers(), &[], pin);
    }
}
