//! Who listens: an ops, its functions, and what a site calls.
//!
//! ```text
//!   ops registered for a site     its literal names            ftrace_caller calls
//!   none                          the no-op ops                (the branch is a NOP)
//!   one                           the ops itself               its callback, behind the recursion guard
//!   several                       a combination of them        each callback in the order of registration
//!   one, a direct call            the ops                      (the branch leads to its trampoline: `direct`)
//!   a direct call and others      a combination of them        each callback; the trampoline comes last
//! ```
//!
//! So a hit looks nothing up: no hash, no list of all ops. A combination is made when the first site needs it, is shared by
//! all sites that need the same, and is kept for ever, as every ops is: a task that was preempted between reading a
//! literal and calling what it names may go on whenever it likes. That is why an ops is a `static`, and why what
//! an ops does *after* it was unregistered needs no waiting for tasks: its `running` is false, and the callback is not
//! called.
//!
//! | change | text |
//! |---|---|
//! | the first ops of a site | literal, then NOP → BL |
//! | one more, one less | literal alone: who reads it calls the ones before or the ones after |
//! | the last goes | BL → NOP; when every CPU has synchronised, the literal |
//! | a direct call comes or goes beside others | literal, then BL → BL |
//!
//! All sites of a change are one batch of `text`.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::marker::PhantomData;
use core::mem::offset_of;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};

use a64::{Insn, encode};
use tracecore::errno::Errno;
use tracecore::misses::{Cause, Layer, Table};

use super::direct::Trampoline;
use super::entry;
use super::recursion::{self, Entered};
use super::regs::FtraceRegs;
use super::site_set::SiteSet;
use super::sites::{self, Site};
use crate::arch::{MAX_CPUS, cpu};
use crate::sync::{Pinned, quiesce};
use crate::task::Mutex;
use crate::text::{PatchError, Transaction};

/// A call of a traced function. While it exists preemption is off, and nothing is traced that its callback calls at the same
/// level.
pub(crate) struct Hit<'a> {
    /// The address of the entry's branch, in the function.
    pub(crate) ip: usize,
    /// The return address, in its caller.
    pub(crate) parent_ip: usize,
    /// Who is called.
    pub(crate) ops: &'static Ops,
    entered: PhantomData<&'a Entered>,
}

impl Hit<'_> {
    /// The address of the function.
    #[inline(always)]
    pub(crate) fn function(&self) -> usize {
        self.ip - 4
    }
}

// SAFETY: `Entered` holds off preemption and outlives the hit.
unsafe impl Pinned for Hit<'_> {}

/// Called at a traced function's entry.
pub(crate) type Callback = fn(&Hit<'_>, &mut FtraceRegs);

/// What `ftrace_caller` calls.
pub(crate) type Entry = extern "C" fn(usize, usize, &'static Ops, &mut FtraceRegs);

/// A listener; always a `static`.
#[repr(C)]
pub(crate) struct Ops {
    /// First, where it is read without an addition.
    running: AtomicBool,
    entry: Entry,
    callback: Callback,
    name: &'static str,
    /// Changes where the function goes on: at most one such ops may have a function.
    redirects: bool,
    /// Called without the recursion guard, also where others that need it are called.
    bare: bool,
    /// Whose trampoline is entered behind the callbacks: its own, if it is one of a direct call; for a combination that of
    /// its member. Null: nobody's.
    direct_of: AtomicPtr<Ops>,
    /// That trampoline; 0 while it is not registered.
    direct: AtomicUsize,
    /// For the callback's own use.
    pub(crate) private: AtomicU64,
    missed: [AtomicU64; MAX_CPUS],
    /// Of a combination; the direct call is not among them.
    members: &'static [&'static Ops],
}

/// How many combinations there can be.
const MAX_COMBINATIONS: usize = 1024;

static NOP_OPS: Ops = Ops::with("nop", ignore, ignored);

fn ignored(_: &Hit<'_>, _: &mut FtraceRegs) {}

impl core::fmt::Debug for Ops {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name)
    }
}

impl Ops {
    pub(super) const ENTRY_AT: usize = offset_of!(Ops, entry);
    pub(super) const DIRECT_OF_AT: usize = offset_of!(Ops, direct_of);
    pub(super) const DIRECT_AT: usize = offset_of!(Ops, direct);

    const fn with(name: &'static str, entry: Entry, callback: Callback) -> Self {
        Self {
            entry,
            callback,
            name,
            redirects: false,
            bare: false,
            running: AtomicBool::new(false),
            direct_of: AtomicPtr::new(core::ptr::null_mut()),
            direct: AtomicUsize::new(0),
            private: AtomicU64::new(0),
            missed: [const { AtomicU64::new(0) }; MAX_CPUS],
            members: &[],
        }
    }

    /// A listener whose callback runs under the recursion guard.
    pub(crate) const fn new(name: &'static str, callback: Callback) -> Self {
        Self::with(name, guarded, callback)
    }

    /// The same, where `entry` is [`guard`] with the callback compiled into it: for the one that is called most.
    pub(crate) const fn guarded_by(name: &'static str, entry: Entry, callback: Callback) -> Self {
        Self::with(name, entry, callback)
    }

    /// The same, for a callback that changes where a function goes on.
    pub(crate) const fn redirecting(name: &'static str, callback: Callback) -> Self {
        Self { redirects: true, ..Self::new(name, callback) }
    }

    /// A listener whose callback is called with nothing around it: it may be called in the midst of itself, may be preempted,
    /// and is called for a while after it was unregistered. Where it shares a function with others its callback is called
    /// with preemption off, and in the midst of itself or of theirs all the same.
    pub(crate) const fn bare(name: &'static str, entry: Entry, callback: Callback) -> Self {
        Self { bare: true, ..Self::with(name, entry, callback) }
    }

    /// The same, for a callback that changes where a function goes on.
    pub(crate) const fn redirecting_bare(name: &'static str, entry: Entry, callback: Callback) -> Self {
        Self { redirects: true, ..Self::bare(name, entry, callback) }
    }

    /// One that has no callback: the function's branch leads to a trampoline ([`super::direct`]).
    pub(crate) const fn direct(name: &'static str) -> Self {
        Self::with(name, ignore, ignored)
    }

    pub(super) fn nop() -> &'static Self {
        &NOP_OPS
    }

    /// Its name, for people.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// May it change where a function goes on?
    pub(crate) fn redirects(&self) -> bool {
        self.redirects
    }

    /// The trampoline that its functions enter, if it is registered for a direct call.
    pub(crate) fn trampoline(&self) -> Option<usize> {
        let direct = self.direct.load(Ordering::Relaxed);
        (direct != 0).then_some(direct)
    }

    /// Whose trampoline comes behind its callbacks.
    fn direct_of(&self) -> Option<&'static Ops> {
        // SAFETY: what is stored there is null or an ops, which lives for ever.
        unsafe { self.direct_of.load(Ordering::Relaxed).as_ref() }
    }

    /// Is this what `ftrace_caller` calls for it?
    pub(super) fn calls(&self, entry: Entry) -> bool {
        core::ptr::fn_addr_eq(self.entry, entry)
    }

    fn is_nop(&'static self) -> bool {
        core::ptr::eq(self, &raw const NOP_OPS)
    }

    /// Calls that it did not see, because they came from a callback.
    pub(crate) fn missed(&self) -> u64 {
        self.missed.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }
}

/// Runs a callback under the recursion guard, while its ops is registered.
#[inline(always)]
pub(crate) fn guard(
    ip: usize,
    parent_ip: usize,
    ops: &'static Ops,
    regs: &mut FtraceRegs,
    callback: impl FnOnce(&Hit<'_>, &mut FtraceRegs),
) {
    let Some(_entered) = recursion::enter() else { return miss(ops) };
    if ops.running.load(Ordering::Acquire) {
        callback(&Hit { ip, parent_ip, ops, entered: PhantomData }, regs);
    }
}

noinstr! {
    extern "C" fn ignore(_: usize, _: usize, _: &'static Ops, _: &mut FtraceRegs) {}

    /// One ops.
    extern "C" fn guarded(ip: usize, parent_ip: usize, ops: &'static Ops, regs: &mut FtraceRegs) {
        guard(ip, parent_ip, ops, regs, ops.callback);
    }

    /// Two, in order: the combination that there is most.
    extern "C" fn both(ip: usize, parent_ip: usize, ops: &'static Ops, regs: &mut FtraceRegs) {
        let (Some(_entered), &[first, second]) = (recursion::enter(), ops.members) else {
            return without_guard(ip, parent_ip, ops, regs);
        };
        let mut hit = Hit { ip, parent_ip, ops: first, entered: PhantomData };
        if first.running.load(Ordering::Acquire) {
            (first.callback)(&hit, regs);
        }
        if second.running.load(Ordering::Acquire) {
            hit.ops = second;
            (second.callback)(&hit, regs);
        }
    }

    /// Several, in order; the guard is the same for all.
    extern "C" fn each(ip: usize, parent_ip: usize, ops: &'static Ops, regs: &mut FtraceRegs) {
        let Some(_entered) = recursion::enter() else {
            return without_guard(ip, parent_ip, ops, regs);
        };
        for &ops in ops.members {
            if ops.running.load(Ordering::Acquire) {
                (ops.callback)(&Hit { ip, parent_ip, ops, entered: PhantomData }, regs);
            }
        }
    }

    /// Several, called from a callback, whose guard holds off preemption.
    fn without_guard(ip: usize, parent_ip: usize, ops: &'static Ops, regs: &mut FtraceRegs) {
        for &ops in ops.members {
            if !ops.bare {
                miss(ops);
            } else if ops.running.load(Ordering::Acquire) {
                (ops.callback)(&Hit { ip, parent_ip, ops, entered: PhantomData }, regs);
            }
        }
    }

    /// Counts a call that comes from a callback. Whatever interrupts this counts too: hence the atomic addition.
    fn miss(ops: &'static Ops) {
        if let Some(mine) = ops.missed.get(cpu::id()) {
            mine.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Who is registered, for what.
struct User {
    ops: &'static Ops,
    sites: SiteSet,
}

struct Registry {
    users: Vec<User>,
    /// What each site's literal names.
    named: Vec<&'static Ops>,
    combinations: Vec<&'static Ops>,
    /// The sites that ever were on.
    touched: Option<SiteSet>,
    /// Every ops that ever was registered, for its misses.
    known: Vec<&'static Ops>,
}

static REGISTRY: Mutex<Registry> = Mutex::new(Registry {
    users: Vec::new(),
    named: Vec::new(),
    combinations: Vec::new(),
    touched: None,
    known: Vec::new(),
});

/// A registered ops; dropping it unregisters.
#[derive(Debug)]
#[must_use = "dropping it unregisters"]
pub(crate) struct Registered {
    ops: &'static Ops,
}

/// Starts calling `ops` at the entry of each function in `sites`.
///
/// # Errors
/// EBUSY: it is registered, or another one redirects one of the functions. ENOSPC: too many combinations. Those of the patch.
/// Nothing has changed then.
pub(crate) fn register(ops: &'static Ops, sites: SiteSet) -> Result<Registered, Errno> {
    add(ops, None, sites)
}

/// The same for an ops that [`Ops::direct`] has made: has each function in `sites` enter the trampoline.
///
/// # Errors
/// As [`register`]; EBUSY also if one of the functions has a direct call.
pub(super) fn register_direct(
    ops: &'static Ops,
    trampoline: Trampoline,
    sites: SiteSet,
) -> Result<Registered, Errno> {
    add(ops, Some(trampoline), sites)
}

fn add(ops: &'static Ops, direct: Option<Trampoline>, sites: SiteSet) -> Result<Registered, Errno> {
    let mut registry = REGISTRY.lock();
    if registry.users.iter().any(|user| core::ptr::eq(user.ops, ops)) {
        return Err(Errno::EBUSY);
    }
    if let Some(trampoline) = direct {
        ops.direct_of.store(core::ptr::from_ref(ops).cast_mut(), Ordering::Relaxed);
        registry.may_use(ops, &sites)?;
        ops.direct.store(trampoline.addr(), Ordering::Relaxed);
    } else {
        registry.may_use(ops, &sites)?;
    }
    if !registry.known.iter().any(|known| core::ptr::eq(*known, ops)) {
        registry.known.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        registry.known.push(ops);
    }
    registry.users.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
    registry.users.push(User { ops, sites: sites.clone() });
    ops.running.store(true, Ordering::Release);
    if let Err(e) = registry.update(&sites) {
        ops.running.store(false, Ordering::Release);
        ops.direct.store(0, Ordering::Relaxed);
        registry.users.pop();
        return Err(e);
    }
    Ok(Registered { ops })
}

impl Registered {
    /// Goes on with other functions. A function in both sets is called all the time.
    ///
    /// # Errors
    /// As [`register`].
    pub(crate) fn set_sites(&self, sites: SiteSet) -> Result<(), Errno> {
        let mut registry = REGISTRY.lock();
        registry.may_use(self.ops, &sites)?;
        let Some(user) = registry.users.iter_mut().find(|user| core::ptr::eq(user.ops, self.ops)) else {
            return Err(Errno::ENOENT);
        };
        let before = core::mem::replace(&mut user.sites, sites.clone());
        let result = registry.update(&before.union(&sites));
        if result.is_err()
            && let Some(user) = registry.users.iter_mut().find(|user| core::ptr::eq(user.ops, self.ops))
        {
            user.sites = before;
        }
        result
    }

    /// Of a direct call: has its functions enter another trampoline from now on. Returns where the old one was.
    ///
    /// # Errors
    /// Those of the patch; nothing has changed then.
    pub(super) fn set_direct(&self, to: Trampoline) -> Result<usize, Errno> {
        let registry = REGISTRY.lock();
        let Some(user) = registry.users.iter().find(|user| core::ptr::eq(user.ops, self.ops)) else {
            return Err(Errno::ENOENT);
        };
        let mut batch = Transaction::default();
        for n in user.sites.numbers() {
            let (Some(site), Some(&named)) = (sites::nth(n), registry.named.get(n)) else { continue };
            if core::ptr::eq(named, self.ops) {
                let from = branch_of(site, named)?;
                site.branch_to(to.addr())
                    .and_then(|to| site.rebranch(&mut batch, from, to))
                    .map_err(PatchError::errno)?;
            }
        }
        commit(batch)?;
        Ok(self.ops.direct.swap(to.addr(), Ordering::Relaxed))
    }
}

/// The word of a site whose literal names `ops`: a NOP, or a branch to one of the two trampolines of this room or to that
/// of a direct call.
fn branch_of(site: Site, ops: &'static Ops) -> Result<Insn, Errno> {
    if ops.is_nop() {
        return Ok(encode::nop());
    }
    let target = match ops.direct_of() {
        None => entry::ftrace_caller(),
        Some(direct) if core::ptr::eq(direct, ops) => ops.direct.load(Ordering::Relaxed),
        Some(_) => entry::ftrace_direct_caller(),
    };
    site.branch_to(target).map_err(PatchError::errno)
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut registry = REGISTRY.lock();
        let Some(at) = registry.users.iter().position(|user| core::ptr::eq(user.ops, self.ops)) else {
            return;
        };
        let user = registry.users.remove(at);
        // From here on nothing calls it; whoever is in its callback leaves it before the quiet point.
        user.ops.running.store(false, Ordering::Release);
        match registry.update(&user.sites) {
            // Who has read the literal before does not enter the trampoline any more.
            Ok(()) => user.ops.direct.store(0, Ordering::Relaxed),
            Err(e) => log::error!("ftrace: the sites of {} stay on: {e:?}", user.ops.name),
        }
        drop(registry);
        quiesce::synchronize();
    }
}

impl Registry {
    /// A function has one ops at most that redirects it, and one direct call.
    fn may_use(&self, ops: &'static Ops, sites: &SiteSet) -> Result<(), Errno> {
        let excludes = |other: &'static Ops| {
            !core::ptr::eq(other, ops)
                && (ops.redirects && other.redirects
                    || ops.direct_of().is_some() && other.direct_of().is_some())
        };
        let mut others = self.users.iter().filter(|user| excludes(user.ops));
        match others.any(|user| !user.sites.intersection(sites).is_empty()) {
            true => Err(Errno::EBUSY),
            false => Ok(()),
        }
    }

    /// Makes the text of these sites what the users want.
    fn update(&mut self, sites: &SiteSet) -> Result<(), Errno> {
        if self.named.is_empty() {
            self.named.try_reserve_exact(sites::count()).map_err(|_| Errno::ENOMEM)?;
            self.named.resize(sites::count(), Ops::nop());
        }
        let count = sites.len();
        let mut batch = Transaction::with_room(count, count).map_err(PatchError::errno)?;
        let mut gone = Transaction::default();
        // Neighbours mostly call the same ones.
        let mut last = None;
        let mut changes = Vec::new();
        changes.try_reserve_exact(count).map_err(|_| Errno::ENOMEM)?;
        for n in sites.numbers() {
            let (Some(site), Some(&was)) = (sites::nth(n), self.named.get(n)) else { continue };
            let ops = match (self.callers(n), last) {
                (Some(callers), Some((same, ops))) if callers == same => ops,
                (callers, _) => {
                    let ops = self.wanted(n)?.unwrap_or(Ops::nop());
                    last = callers.map(|callers| (callers, ops));
                    ops
                }
            };
            if core::ptr::eq(was, ops) {
                continue;
            }
            changes.push((n, ops));
            let (from, to) = (branch_of(site, was)?, branch_of(site, ops)?);
            // The literal goes first, and is the last to go.
            let literals = if ops.is_nop() { &mut gone } else { &mut batch };
            site.name(literals, was, ops)
                .and_then(|()| if from == to { Ok(()) } else { site.rebranch(&mut batch, from, to) })
                .map_err(PatchError::errno)?;
        }
        commit(batch)?;
        let touched = match &self.touched {
            Some(touched) => touched.union(sites),
            None => sites.clone(),
        };
        self.touched = Some(touched);
        for (n, ops) in changes {
            if let Some(named) = self.named.get_mut(n) {
                *named = ops;
            }
        }
        // No CPU takes the branch of those that are gone any more.
        commit(gone)
    }

    /// Who shall be called at a site, a bit for each; `None` if there are more users than bits.
    #[inline(always)]
    fn callers(&self, n: usize) -> Option<u64> {
        let bits = |bits, (at, user): (usize, &User)| bits | u64::from(user.sites.contains_nth(n)) << at;
        (self.users.len() <= u64::BITS as usize).then(|| self.users.iter().enumerate().fold(0, bits))
    }

    /// What a site shall call.
    fn wanted(&mut self, n: usize) -> Result<Option<&'static Ops>, Errno> {
        let mut here = self.users.iter().filter(|user| user.sites.contains_nth(n)).map(|user| user.ops);
        let Some(first) = here.next() else { return Ok(None) };
        let Some(second) = here.next() else { return Ok(Some(first)) };
        let mut all = Vec::new();
        all.try_reserve(self.users.len()).map_err(|_| Errno::ENOMEM)?;
        all.extend([first, second]);
        all.extend(here);
        self.combination(all).map(Some)
    }

    fn combination(&mut self, members: Vec<&'static Ops>) -> Result<&'static Ops, Errno> {
        let mut members = members;
        let direct = members.iter().find_map(|ops| ops.direct_of());
        members.retain(|ops| ops.direct_of().is_none());
        let direct = direct.map_or(core::ptr::null_mut(), |ops| core::ptr::from_ref(ops).cast_mut());
        let same = |known: &&&'static Ops| {
            known.direct_of.load(Ordering::Relaxed) == direct
                && known.members.len() == members.len()
                && known.members.iter().zip(&members).all(|(a, b)| core::ptr::eq(*a, *b))
        };
        if let Some(known) = self.combinations.iter().find(same) {
            return Ok(known);
        }
        if self.combinations.len() >= MAX_COMBINATIONS {
            return Err(Errno::ENOSPC);
        }
        self.combinations.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        let entry = if members.len() == 2 { both } else { each };
        let mut ops = Ops::with("several", entry, ignored);
        ops.members = Vec::leak(members);
        ops.direct_of = AtomicPtr::new(direct);
        let ops: &'static Ops = Box::leak(Box::new(ops));
        self.combinations.push(ops);
        Ok(ops)
    }
}

fn commit(batch: Transaction) -> Result<(), Errno> {
    if batch.is_empty() {
        return Ok(());
    }
    batch.commit().map_err(|e| {
        log::error!("ftrace: {e}");
        e.errno()
    })
}

/// Those that a site calls, in order.
pub(crate) fn listeners(site: Site) -> Vec<&'static Ops> {
    let registry = REGISTRY.lock();
    registry.users.iter().filter(|user| user.sites.contains(site)).map(|user| user.ops).collect()
}

/// The sites that are on now, or that ever were.
pub(crate) fn touched(ever: bool) -> SiteSet {
    let registry = REGISTRY.lock();
    let none = SiteSet::none();
    if ever {
        return registry.touched.clone().unwrap_or(none);
    }
    registry.users.iter().fold(none, |all, user| all.union(&user.sites))
}

/// Adds what each ops did not see.
pub(crate) fn misses(table: &mut Table) {
    for ops in &REGISTRY.lock().known {
        table.add(Layer::Ftrace, ops.name, Cause::Recursion, ops.missed());
    }
}
