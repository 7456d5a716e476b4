//! A hook: how many calls may be under way, and the account of every call.
//!
//! ```text
//!   call ──▶ entry listener ──▶ kept ──▶ returns ──▶ exit listener              exits
//!     │             │            │           │  └───▶ the hook is gone: nobody
//!     │             │            │           └──────▶ in a handler: nobody      missed
//!     │             │            └──▶ its task ends: dropped                    dropped
//!     │             └── declined
//!     └── no shadow stack, no room in it, too many under way                    missed
//! ```
//!
//! So calls = exits + declined + missed + dropped + still under way, at any moment at which no call is at its entry or its
//! return. A hook's memory outlives it while calls are under way, for their entries name it: see [`retire`].

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use tracecore::errno::Errno;
use tracecore::reentry::OPEN;

use super::call::Call;
use super::entry::EntryRegs;
use super::listener::{ErasedListener, Listener, Returned, Verdict};
use super::shadow::{self, Function, MAX_DATA_WORDS, Shadow, Size};
use super::{storage, trampoline};
use crate::arch::daif::Daif;
use crate::ftrace::FtraceRegs;
use crate::ftrace::regs::{self, Return};
use crate::kprobes;
use crate::sync::{CpuPin, IrqWork, SpinLock, quiesce};

/// Calls that were not caught, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Missed {
    /// As many calls as may be were under way.
    pub(crate) active: u64,
    /// No room in the task's shadow stack.
    pub(crate) room: u64,
    /// The task has no shadow stack: there was no memory.
    pub(crate) storage: u64,
    /// It was made, or returned, while a handler was running on the same CPU. (A breakpoint at the entry counts its own.)
    pub(crate) in_handler: u64,
}

impl Missed {
    /// Those for which there was no room to keep what the return needs.
    pub(crate) fn no_instance(&self) -> u64 {
        self.active + self.room
    }

    /// All of them.
    pub(crate) fn sum(&self) -> u64 {
        self.active + self.room + self.storage + self.in_handler
    }
}

impl core::ops::AddAssign for Missed {
    fn add_assign(&mut self, other: Self) {
        self.active += other.active;
        self.room += other.room;
        self.storage += other.storage;
        self.in_handler += other.in_handler;
    }
}

#[derive(Debug, Default)]
struct Counts {
    active: AtomicU64,
    room: AtomicU64,
    storage: AtomicU64,
    in_handler: AtomicU64,
    dropped: AtomicU64,
}

/// What entries on shadow stacks name.
pub(crate) struct Hook {
    listener: ErasedListener,
    data_words: usize,
    size: Size,
    has_entry: bool,
    /// What the re-entry state machine calls it: any number but 0, and whether the listener is open.
    handling: u64,
    max_active: u32,
    /// Calls under way.
    active: AtomicU32,
    /// Its owner has gone: returns are nobody's business.
    gone: AtomicBool,
    counts: Counts,
}

/// A number for the re-entry state machine, which wants to know whether a listener is under way and not which.
const ANY: u64 = 8;

/// Why a call takes the slow way in.
#[derive(Clone, Copy, Debug)]
pub(super) enum Slow {
    /// The listener wants to see it.
    Entry,
    /// The task has no shadow stack.
    Storage,
    /// There is no room in it.
    Room,
    /// As many calls as may be are under way.
    Active,
}

/// Counts a call for which the task's shadow stack has no room. Not traced: its own entry would find no room either.
#[patchable_function_entry(prefix_nops = 0, entry_nops = 0)]
#[cold]
#[inline(never)]
fn no_room(hook: &Hook, shadow: &Shadow) {
    shadow.count_exhausted();
    hook.counts.room.fetch_add(1, Ordering::Relaxed);
}

/// Counts a call whose task has no shadow stack. Not traced, as above.
#[patchable_function_entry(prefix_nops = 0, entry_nops = 0)]
#[cold]
#[inline(never)]
fn no_storage(hook: &Hook) {
    hook.counts.storage.fetch_add(1, Ordering::Relaxed);
}

impl Hook {
    /// A hook that nothing calls yet. The listener's data must be within [`MAX_DATA_WORDS`].
    pub(super) fn new(listener: Arc<impl Listener + 'static>, max_active: u32) -> Option<Arc<Self>> {
        let data_words = listener.data_words();
        let has_entry = listener.has_entry();
        let handling = if listener.is_open() { ANY | OPEN } else { ANY };
        (data_words <= MAX_DATA_WORDS).then(|| {
            Arc::new(Self {
                listener: ErasedListener::new(listener),
                data_words,
                size: Size::with(data_words),
                has_entry,
                handling,
                max_active,
                active: AtomicU32::new(0),
                gone: AtomicBool::new(false),
                counts: Counts::default(),
            })
        })
    }

    /// What the re-entry state machine calls it.
    #[inline(always)]
    pub(super) fn handling(&self) -> u64 {
        self.handling
    }

    /// The words that an entry of this hook has before it.
    #[inline(always)]
    pub(super) fn data_words(&self) -> usize {
        self.data_words
    }

    /// At the entry of `function`, which would return to `returns_to` with this stack pointer. Good: the call is caught, and
    /// shall return to the trampoline. Else [`Hook::catch_slowly`] has to see to it.
    ///
    /// Interrupts are masked: what is written above the top of the shadow stack is nobody else's.
    #[inline(always)]
    pub(super) fn catch(
        &self,
        function: Function,
        returns_to: u64,
        sp: u64,
        pin: &CpuPin,
    ) -> Result<(), Slow> {
        if self.has_entry {
            return Err(Slow::Entry);
        }
        let shadow = Shadow::current(pin).ok_or(Slow::Storage)?;
        let at = shadow.room(self.data_words).ok_or(Slow::Room)?;
        if self.active.fetch_add(1, Ordering::Relaxed) >= self.max_active {
            return Err(Slow::Active);
        }
        // SAFETY: the room was found with these words, in this very context.
        unsafe { shadow.push(at, self.size, returns_to, sp, self, function) };
        Ok(())
    }

    /// What [`Hook::catch`] did not do: asks the listener, or counts a miss. Says whether the call is caught.
    pub(super) fn catch_slowly(
        &self,
        why: Slow,
        function: Function,
        returns_to: u64,
        regs: EntryRegs<'_>,
        pin: &CpuPin,
    ) -> bool {
        let miss = |count: &AtomicU64| {
            count.fetch_add(1, Ordering::Relaxed);
            false
        };
        match why {
            Slow::Storage => return miss(&self.counts.storage),
            Slow::Room => {
                Shadow::current(pin).inspect(|shadow| shadow.count_exhausted());
                return miss(&self.counts.room);
            }
            Slow::Active => {
                self.active.fetch_sub(1, Ordering::Relaxed);
                return miss(&self.counts.active);
            }
            Slow::Entry => {}
        }
        let Some(shadow) = Shadow::current(pin) else { return miss(&self.counts.storage) };
        let Some(at) = shadow.room(self.data_words) else {
            shadow.count_exhausted();
            return miss(&self.counts.room);
        };
        if self.active.fetch_add(1, Ordering::Relaxed) >= self.max_active {
            self.active.fetch_sub(1, Ordering::Relaxed);
            return miss(&self.counts.active);
        }
        // SAFETY: there is so much room, above the top: nobody else's.
        let data = unsafe { Shadow::data(at, self.data_words) };
        if self.listener.entry(regs, data, pin) == Verdict::Decline {
            self.active.fetch_sub(1, Ordering::Relaxed);
            return false;
        }
        // SAFETY: the room was found with these words. What a listener calls is not hooked: it is a handler.
        unsafe { shadow.push(at, self.size, returns_to, regs.sp(), self, function) };
        true
    }

    /// At the entry of a function whose site led here. Asks the listener, and catches the call if it says so; else counts
    /// why not.
    #[inline(always)]
    pub(crate) fn catch_asked(
        &self,
        ip: usize,
        parent_ip: usize,
        masks: Daif,
        guards: u32,
        regs: &mut FtraceRegs<regs::Entry>,
        pin: &CpuPin,
    ) {
        let Some(shadow) = Shadow::current(pin) else { return no_storage(self) };
        let Some(at) = shadow.room(self.data_words) else { return no_room(self, shadow) };
        let ran = kprobes::as_handler(self.handling, pin, || {
            let call = Call { ip, parent_ip, masks, guards, shadow, hook: self };
            // SAFETY: there is so much room, above the top: nobody else's.
            let data = unsafe { Shadow::data(at, self.data_words) };
            if self.listener.enter(&call, regs, data) == Verdict::Keep {
                self.active.fetch_add(1, Ordering::Relaxed);
                // SAFETY: the room was found with these words. What a listener calls is not hooked: it is a handler.
                unsafe {
                    shadow.push(at, self.size, regs.lr(), regs.sp(), self, Function::at(call.function()))
                };
                regs.set_lr(trampoline::addr_near());
            }
        });
        if !ran {
            self.count_in_handler();
        }
    }

    /// The return of a call whose entry this is. The entry is still on its stack.
    #[inline(always)]
    pub(super) fn exit(&self, entry: *mut shadow::Entry, regs: &mut FtraceRegs<Return>, pin: &CpuPin) {
        if self.gone.load(Ordering::Relaxed) {
            ghost(pin);
            return;
        }
        let ran = kprobes::as_handler(self.handling, pin, || {
            let returned = Returned::new(entry, self.data_words);
            self.listener.exit(returned, regs, pin);
        });
        if !ran {
            self.count_in_handler();
        }
    }

    /// The call is over: the entry may go, and the hook if it is gone.
    #[inline(always)]
    pub(super) fn over(&self) {
        self.active.fetch_sub(1, Ordering::Release);
    }

    /// A call whose task has ended.
    #[inline(always)]
    pub(super) fn drop_call(&self, pin: &CpuPin) {
        self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        self.active.fetch_sub(1, Ordering::Release);
        if self.gone.load(Ordering::Relaxed) {
            ghost(pin);
        }
    }

    /// Counts a call that is made, or has ended, in a handler.
    #[inline(always)]
    pub(super) fn count_in_handler(&self) {
        self.counts.in_handler.fetch_add(1, Ordering::Relaxed);
    }

    /// Calls under way.
    pub(crate) fn active(&self) -> u32 {
        self.active.load(Ordering::Acquire)
    }

    /// Calls that may be under way at once.
    pub(super) fn max_active(&self) -> u32 {
        self.max_active
    }

    /// Calls that were not caught.
    pub(crate) fn missed(&self) -> Missed {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Missed {
            active: get(&self.counts.active),
            room: get(&self.counts.room),
            storage: get(&self.counts.storage),
            in_handler: get(&self.counts.in_handler),
        }
    }

    /// Calls that were caught and whose task ended before they returned.
    pub(crate) fn dropped(&self) -> u64 {
        self.counts.dropped.load(Ordering::Relaxed)
    }

    /// What lists call it.
    pub(crate) fn name(&self) -> &str {
        self.listener.name()
    }
}

/// A hook until it is dropped; calls that are under way then return as they should, and nobody is told.
pub(crate) struct Owner(pub(super) Arc<Hook>);

impl Owner {
    /// The owner of a hook that nothing calls yet.
    ///
    /// # Errors
    /// E2BIG: the listener wants to keep more than [`MAX_DATA_WORDS`]. ENOMEM: some tasks have no shadow stack.
    pub(crate) fn new(listener: Arc<impl Listener + 'static>) -> Result<Self, Errno> {
        let hook = Hook::new(listener, u32::MAX).ok_or(Errno::E2BIG)?;
        storage::provide()?;
        Ok(Self(hook))
    }
}

impl core::ops::Deref for Owner {
    type Target = Hook;

    fn deref(&self) -> &Hook {
        &self.0
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        retire(self.0.clone());
    }
}

noinstr! {
    /// A call of a hook that is gone has ended.
    #[cold]
    #[inline(never)]
    fn ghost(pin: &CpuPin) {
        SWEEP.queue(pin);
    }
}

/// Hooks whose owner has gone, and that calls under way may still name.
static RETIRED: SpinLock<Vec<Arc<Hook>>> = SpinLock::new(Vec::new());

/// Has the retired looked through, from wherever one of their calls has ended.
static SWEEP: IrqWork = IrqWork::new(|| quiesce::defer(Box::new(sweep)));

/// From now on nobody is told of the hook's returns. Its memory goes when no entry names it.
///
/// The caller sees to it that no new call is caught, except by CPUs that are at it already: they are waited for.
pub(super) fn retire(hook: Arc<Hook>) {
    hook.gone.store(true, Ordering::Relaxed);
    RETIRED.lock().push(hook);
    quiesce::defer(Box::new(sweep));
}

/// Lets go of the retired without calls under way. A quiet point has passed since each was retired; since its last call
/// ended another has to.
fn sweep() {
    let mut idle: Vec<Arc<Hook>> = Vec::new();
    {
        let mut retired = RETIRED.lock();
        if idle.try_reserve(retired.len()).is_err() {
            return;
        }
        let mut at = 0;
        while let Some(hook) = retired.get(at) {
            if hook.active() == 0 {
                idle.push(retired.swap_remove(at));
            } else {
                at += 1;
            }
        }
    }
    if !idle.is_empty() {
        quiesce::defer(Box::new(move || drop(idle)));
    }
}

/// How many hooks are gone and still named.
pub(super) fn retired() -> usize {
    RETIRED.lock().len()
}
