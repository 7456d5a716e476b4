//! Programs at an instruction, and at a function's return.
//!
//! ```text
//!   kprobe/work_add+8    BRK ─▶ kprobes::hit ─▶ OnProbe::pre        r1 = the PtRegs: all registers, where Linux has them
//!   kretprobe/work_add   return hook ─▶ OnReturn::exit              r1 = the FtraceRegs of the return
//! ```

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use tracecore::misses::Cause;

use super::{Attachment, Hooked, Refused, Wanted, target};
use crate::bpf::prog::Prog;
use crate::bpf::run::Way;
use crate::exception::PtRegs;
use crate::ftrace::FtraceRegs;
use crate::ftrace::regs::Return;
use crate::kprobes::{Flow, Handler, Kprobe};
use crate::rethook::{Kretprobe, Listener, MAX_ACTIVE, Returned};
use crate::sync::CpuPin;

/// What lists of probes call it.
fn name_of(prog: &Prog) -> String {
    format!("bpf:{}", prog.parts().name)
}

fn cookie(wanted: Wanted<'_>) -> u64 {
    wanted.cookies.first().copied().unwrap_or(0)
}

/// At a breakpoint.
struct OnProbe {
    hooked: Hooked,
    name: String,
}

impl Handler for OnProbe {
    #[inline]
    fn pre(&self, addr: u64, regs: &mut PtRegs, pin: &CpuPin) -> Flow {
        let ctx = core::ptr::from_ref(regs.user()).cast();
        self.hooked.run(Way::Regs(regs), ctx, addr, pin);
        Flow::Continue
    }

    fn is_open(&self) -> bool {
        true
    }

    fn name(&self) -> &str {
        &self.name
    }
}

struct AtProbe {
    // Dropped first: then nobody runs the program.
    probe: Kprobe,
    handler: Arc<OnProbe>,
}

impl Attachment for AtProbe {
    fn hooked(&self) -> &Hooked {
        &self.handler.hooked
    }

    fn flavour(&self) -> &'static str {
        "brk"
    }

    fn at(&self) -> Vec<(u64, u64)> {
        vec![(self.probe.addr() as u64, self.handler.hooked.cookie())]
    }

    fn missed(&self) -> Vec<(Cause, u64)> {
        vec![(Cause::InHandler, self.probe.missed())]
    }
}

/// `kprobe/…`.
pub(super) fn at_instruction(prog: &Arc<Prog>, wanted: Wanted<'_>) -> Result<Box<dyn Attachment>, Refused> {
    let addr = target::instruction(wanted.target)?;
    let handler = Arc::new(OnProbe { hooked: Hooked::new(prog, cookie(wanted)), name: name_of(prog) });
    let armed = Kprobe::register(addr, handler.clone()).and_then(|probe| probe.arm().map(|()| probe));
    let probe =
        armed.map_err(|refusal| Refused::new(refusal.errno(), format!("{}: {refusal}", wanted.target)))?;
    Ok(Box::new(AtProbe { probe, handler }))
}

/// At a return.
struct OnReturn {
    hooked: Hooked,
    name: String,
}

impl Listener for OnReturn {
    #[inline(always)]
    fn exit(&self, returned: Returned<'_>, regs: &mut FtraceRegs<Return>, pin: &CpuPin) {
        let ctx = regs.context();
        self.hooked.run_at(ctx, pin, || (Way::Return(regs), self.hooked.cookie(), returned.function()));
    }

    fn is_open(&self) -> bool {
        true
    }

    fn name(&self) -> &str {
        &self.name
    }
}

struct AtReturn {
    probe: Kretprobe,
    listener: Arc<OnReturn>,
}

impl Attachment for AtReturn {
    fn hooked(&self) -> &Hooked {
        &self.listener.hooked
    }

    fn flavour(&self) -> &'static str {
        "return"
    }

    fn at(&self) -> Vec<(u64, u64)> {
        vec![(self.probe.function(), self.listener.hooked.cookie())]
    }

    fn missed(&self) -> Vec<(Cause, u64)> {
        let missed = self.probe.missed();
        vec![
            (Cause::InHandler, missed.in_handler + self.probe.missed_at_entry()),
            (Cause::NoInstance, missed.no_instance()),
            (Cause::NoMemory, missed.storage),
        ]
    }
}

/// `kretprobe/…`. As many calls as may be are caught at once: they take no memory of their own here.
pub(super) fn at_return(prog: &Arc<Prog>, wanted: Wanted<'_>) -> Result<Box<dyn Attachment>, Refused> {
    let addr = target::instruction(wanted.target)?;
    let listener = Arc::new(OnReturn { hooked: Hooked::new(prog, cookie(wanted)), name: name_of(prog) });
    let armed = Kretprobe::register(addr, Some(MAX_ACTIVE), listener.clone())
        .and_then(|probe| probe.arm().map(|()| probe));
    let probe =
        armed.map_err(|refusal| Refused::new(refusal.errno(), format!("{}: {refusal}", wanted.target)))?;
    Ok(Box::new(AtReturn { probe, listener }))
}
