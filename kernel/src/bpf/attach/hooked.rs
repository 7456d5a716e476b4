//! The program that a hook runs.
//!
//! ```text
//!   hit ─▶ prog (a pointer) ─▶ Prog::run
//!            ▲
//!   replace: swaps it; the old program is let go after a quiet point, for a hit may have it in hand
//! ```

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicPtr, Ordering};

use crate::bpf::prog::Prog;
use crate::bpf::run::Way;
use crate::sync::{Pinned, quiesce};
use crate::task::Mutex;

/// A program on a hook.
pub(crate) struct Hooked {
    /// What `kept` holds.
    prog: AtomicPtr<Prog>,
    kept: Mutex<Arc<Prog>>,
    /// What `get_attach_cookie` gives.
    cookie: u64,
    context_bytes: u32,
}

impl Hooked {
    pub(super) fn new(prog: &Arc<Prog>, cookie: u64) -> Self {
        let at = AtomicPtr::new(Arc::as_ptr(prog).cast_mut());
        let context_bytes = prog.parts().context_bytes;
        Self { prog: at, kept: Mutex::new(prog.clone()), cookie, context_bytes }
    }

    /// Runs it.
    #[inline(always)]
    pub(super) fn run(&self, way: Way<'_>, ctx: *const u64, ip: u64, pin: &impl Pinned) -> u64 {
        self.run_at(ctx, pin, || (way, self.cookie, ip))
    }

    /// The same where way, cookie and function are only found if the program may ask for them.
    #[inline(always)]
    pub(super) fn run_at<'h>(
        &self,
        ctx: *const u64,
        pin: &impl Pinned,
        hit: impl FnOnce() -> (Way<'h>, u64, u64),
    ) -> u64 {
        // SAFETY: `kept` holds it, or did before the last quiet point; the caller is pinned.
        let prog = unsafe { &*self.prog.load(Ordering::Acquire) };
        prog.run(ctx.expose_provenance() as u64, pin, hit)
    }

    /// What `get_attach_cookie` gives.
    pub(super) fn cookie(&self) -> u64 {
        self.cookie
    }

    /// The program that is run.
    pub(crate) fn prog(&self) -> Arc<Prog> {
        self.kept.lock().clone()
    }

    /// Bytes of context that the program needs: its successors may need no more.
    pub(crate) fn context_bytes(&self) -> u32 {
        self.context_bytes
    }

    /// Has hits run another program from now on. Gives the old one, which may be running still.
    pub(crate) fn replace(&self, prog: &Arc<Prog>) -> Arc<Prog> {
        let mut kept = self.kept.lock();
        self.prog.store(Arc::as_ptr(prog).cast_mut(), Ordering::Release);
        let old = core::mem::replace(&mut *kept, prog.clone());
        let runs = old.clone();
        quiesce::defer(Box::new(move || drop(runs)));
        old
    }
}
