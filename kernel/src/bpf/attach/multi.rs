//! Programs at the entries or returns of many functions.
//!
//! One registration for all of them ([`ftrace::fprobe`](crate::ftrace::fprobe)): `kprobe.multi` and `fprobe` are the same here
//! but for what a program calls its registers. Cookies are one for all, or one for each function of a list, found
//! by the function's address.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use ::bpf::kind::Attach;
use tracecore::misses::Cause;

use super::{Attachment, Hooked, Refused, Wanted, target};
use crate::bpf::prog::Prog;
use crate::bpf::run::Way;
use crate::ftrace::fprobe::{At, Ends, Fprobe, Handler, Returned, Verdict};
use crate::ftrace::regs::{Entry, Return};
use crate::ftrace::{FtraceRegs, SiteSet};
use crate::sync::CpuPin;

/// At the one end or the other.
struct OnFunctions {
    hooked: Hooked,
    /// For all functions.
    cookie: u64,
    /// Functions and their cookies, by address; empty if there is one for all.
    cookies: Vec<(u64, u64)>,
}

impl OnFunctions {
    #[inline(always)]
    fn cookie(&self, function: u64) -> u64 {
        if self.cookies.is_empty() { self.cookie } else { cookie_of(&self.cookies, function) }
    }
}

/// Not traced: it is called before the program is known to run.
#[patchable_function_entry(prefix_nops = 0, entry_nops = 0)]
#[inline(never)]
fn cookie_of(cookies: &[(u64, u64)], function: u64) -> u64 {
    let mut left = cookies;
    while let half = left.len() / 2
        && let Some((at, cookie)) = left.get(half)
    {
        left = match function.cmp(at) {
            core::cmp::Ordering::Equal => return *cookie,
            core::cmp::Ordering::Less => left.get(..half).unwrap_or_default(),
            core::cmp::Ordering::Greater => left.get(half + 1..).unwrap_or_default(),
        };
    }
    0
}

impl Handler for OnFunctions {
    #[inline(always)]
    fn entry(&self, at: At, regs: &mut FtraceRegs<Entry>, _: &mut [u64], pin: &CpuPin) -> Verdict {
        let (ctx, function) = (regs.context(), at.function());
        self.hooked.run_at(ctx, pin, || (Way::Entry(regs), self.cookie(function), function));
        Verdict::Keep
    }

    #[inline(always)]
    fn exit(&self, returned: Returned<'_>, regs: &mut FtraceRegs<Return>, pin: &CpuPin) {
        self.hooked.run_at(regs.context(), pin, || {
            let function = returned.function();
            (Way::Return(regs), self.cookie(function), function)
        });
    }

    fn is_open(&self) -> bool {
        true
    }
}

struct AtFunctions {
    // Dropped first: then nobody runs the program.
    probe: Fprobe,
    handler: Arc<OnFunctions>,
    functions: SiteSet,
}

impl Attachment for AtFunctions {
    fn hooked(&self) -> &Hooked {
        &self.handler.hooked
    }

    fn flavour(&self) -> &'static str {
        "multi"
    }

    fn places(&self) -> usize {
        self.functions.len()
    }

    fn at(&self) -> Vec<(u64, u64)> {
        let cookie = |function| (function, self.handler.cookie(function));
        self.functions.iter().map(|site| cookie(site.function as u64)).collect()
    }

    fn missed(&self) -> Vec<(Cause, u64)> {
        let missed = self.probe.missed();
        vec![
            (Cause::InHandler, missed.in_handler),
            (Cause::NoInstance, missed.no_instance()),
            (Cause::NoMemory, missed.storage),
        ]
    }
}

/// `kprobe.multi/…`, `fprobe/…` and the same at returns.
pub(super) fn at_functions(
    prog: &Arc<Prog>,
    wanted: Wanted<'_>,
    attach: Attach,
) -> Result<Box<dyn Attachment>, Refused> {
    let (functions, cookies) = target::functions(wanted.target, wanted.cookies)?;
    let ends = match attach {
        Attach::KretprobeMulti | Attach::FprobeExit => Ends::Exit,
        _ => Ends::Entry,
    };
    let cookie = wanted.cookies.first().copied().unwrap_or(0);
    let handler = Arc::new(OnFunctions { hooked: Hooked::new(prog, cookie), cookie, cookies });
    let probe = Fprobe::register(handler.clone(), ends, functions.clone())?;
    Ok(Box::new(AtFunctions { probe, handler, functions }))
}
