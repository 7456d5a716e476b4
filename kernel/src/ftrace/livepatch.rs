//! Live patching: another function in the place of one, while it runs.
//!
//! ```text
//!   caller: bl work_add
//!     work_add: mov x9, x30; bl ftrace_caller ─▶ redirect: the patch is on ─▶ regs.pc = the replacement
//!     …                                                    it is off         regs.pc stays
//!   replacement: runs with the caller's arguments and return address, and returns to the caller
//! ```
//!
//! # What is promised
//!
//! 1. A call runs one version from its first word to its last: which one is decided at its entry, and calls that are under way
//!    when a patch is switched end in the version in which they began.
//! 2. When [`Patch::enable`] or [`Patch::disable`] has returned, every call that begins, in any context, runs the version that
//!    it has asked for.
//! 3. All functions of a patch change over at one moment: whoever has run one of them in the new version finds all of them
//!    new.
//!
//! The third is one store: the sites are on before it, and ask for it at each call. So no task has to be waited for, and
//! none has to be looked at. What is *not* promised is that no old version runs any more: a task may sleep in one for as long as
//! it likes. A patch whose functions must not meet their old selves, because they agree on something between two calls,
//! needs more than this.
//!
//! The callback takes no recursion guard: a function that a tracer's callback calls is replaced like any other call, or
//! the second promise would not hold.
//!
//! A function has one patch; a second one is refused with EBUSY. Other listeners see the call all the same, and a probe
//! behind the entry of the old version sees only who runs that.

pub(crate) mod tests;

use core::sync::atomic::{AtomicBool, Ordering};

use tracecore::errno::Errno;

use super::ops::{self, Hit, Ops, Registered};
use super::regs::FtraceRegs;
use super::site_set::SiteSet;
use super::sites::{Site, site_of};
use crate::task::Mutex;

/// A function and the one that runs in its place.
#[derive(Debug)]
pub(crate) struct Replacement {
    old: *const (),
    new: *const (),
}

// SAFETY: addresses of code, which nobody writes through.
unsafe impl Sync for Replacement {}

impl Replacement {
    /// Use [`replacement`], which compares the types.
    ///
    /// # Safety
    /// Two functions of one signature.
    pub(crate) const unsafe fn new(old: *const (), new: *const ()) -> Self {
        Self { old, new }
    }

    /// Where the replaced function can be redirected.
    fn site(&self) -> Option<Site> {
        site_of(self.old.addr()).filter(|site| site.function == self.old.addr())
    }

    /// The replaced function.
    pub(crate) fn replaced(&self) -> usize {
        self.old.addr()
    }
}

/// `replacement!(fn(u64) -> u64: old => new)`.
macro_rules! replacement {
    ($signature:ty: $old:path => $new:path) => {{
        const OLD: $signature = $old;
        const NEW: $signature = $new;
        // SAFETY: both are of the type that was named.
        unsafe { $crate::ftrace::livepatch::Replacement::new(OLD as *const (), NEW as *const ()) }
    }};
}
pub(crate) use replacement;

/// Functions that are replaced together. Always a `static`.
pub(crate) struct Patch {
    ops: Ops,
    name: &'static str,
    functions: &'static [Replacement],
    on: AtomicBool,
    /// While it is on. Held while it is switched.
    registered: Mutex<Option<Registered>>,
}

impl Patch {
    /// A patch, off.
    pub(crate) const fn new(name: &'static str, functions: &'static [Replacement]) -> Self {
        Self {
            ops: Ops::redirecting_bare(name, redirect, redirect_beside_others),
            name,
            functions,
            on: AtomicBool::new(false),
            registered: Mutex::new(None),
        }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// What it replaces.
    pub(crate) fn functions(&self) -> &'static [Replacement] {
        self.functions
    }

    /// Is it on?
    pub(crate) fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    /// From now on its functions are replaced.
    ///
    /// # Errors
    /// EINVAL: it is on. ENOENT: one of the functions has no entry that could be patched. EBUSY: one of them has another
    /// patch. Those of the text. Nothing has changed then.
    pub(crate) fn enable(&'static self) -> Result<(), Errno> {
        let mut registered = self.registered.lock();
        if registered.is_some() {
            return Err(Errno::EINVAL);
        }
        let mut sites = SiteSet::none();
        for function in self.functions {
            sites.insert(function.site().ok_or(Errno::ENOENT)?);
        }
        self.ops.private.store(core::ptr::from_ref(self).expose_provenance() as u64, Ordering::Release);
        *registered = Some(ops::register(&self.ops, sites)?);
        self.on.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// From now on they are what they were.
    ///
    /// # Errors
    /// EINVAL: it is off.
    pub(crate) fn disable(&self) -> Result<(), Errno> {
        let mut registered = self.registered.lock();
        if registered.is_none() {
            return Err(Errno::EINVAL);
        }
        self.on.store(false, Ordering::SeqCst);
        *registered = None;
        Ok(())
    }
}

noinstr! {
    /// What the site of a replaced function calls.
    extern "C" fn redirect(ip: usize, _: usize, ops: &'static Ops, regs: &mut FtraceRegs) {
        let patch = core::ptr::with_exposed_provenance::<Patch>(ops.private.load(Ordering::Relaxed) as usize);
        // SAFETY: `enable` has stored the patch there, a `static`, before the site names the ops.
        let patch = unsafe { &*patch };
        // Acquire: who has seen it on sees what others have done who saw it on before.
        if !patch.on.load(Ordering::Acquire) {
            return;
        }
        for function in patch.functions {
            if (Site { function: function.old.addr() }).branch_at() == ip {
                regs.set_pc(function.new.addr() as u64);
                return;
            }
        }
    }

    /// The same where others listen.
    fn redirect_beside_others(hit: &Hit<'_>, regs: &mut FtraceRegs) {
        redirect(hit.ip, hit.parent_ip, hit.ops, regs);
    }
}
