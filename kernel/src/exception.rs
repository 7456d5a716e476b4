//! Exceptions: the registers they save, and who handles them.
//!
//! `exception.S` saves the whole register file. A BRK it hands to its hook itself; for everything else it calls [`el1_sync`]
//! or [`el1_irq`], and here ESR_EL1 is decoded, by one `match`, and handed to the owner of a slot. This file knows no
//! owner: rooms on higher floors fill the slots once, at boot.
//!
//! ```text
//! BRK #imm          → the hook registered for imm          none: die
//! data, instruction → fault hooks in order, first that     none: die
//! abort               says Handled
//! step, breakpoint, → the hook registered for the class    none: die
//! watchpoint
//! IRQ               → the interrupt slot, then the slot of softirqs, then the exit slot (preemption)
//! everything else   → die
//! ```
//!
//! A dead end goes to the die slot, which prints an oops and powers off; without one, this CPU halts.

use core::arch::global_asm;
use core::mem::offset_of;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};

use a64::UserRegs;
use aarch64_cpu::registers::{FAR_EL1, Readable};

use crate::arch::STACK_SHIFT;
use crate::arch::thread::{self, HARDIRQ_MASK, HARDIRQ_OFFSET, NMI_MASK, SOFTIRQ_MASK};

/// Everything an exception saves: Linux's arm64 `user_pt_regs`, then what the kernel adds.
///
/// Only `exception.S` makes one: it has no constructor, is neither `Clone` nor `Default`, and its fields are private.
/// So whoever holds a `&mut PtRegs` holds the truth about an interrupted CPU.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct PtRegs {
    user: UserRegs,
    orig_x0: u64,
    syscallno: i32,
    _pad: u32,
    frame: FrameRecord,
}

/// What the AAPCS64 (6.4.6) calls a frame record.
#[repr(C)]
#[derive(Debug)]
struct FrameRecord {
    fp: u64,
    lr: u64,
}

const _: () = assert!(size_of::<PtRegs>().is_multiple_of(16));

impl PtRegs {
    /// The registers in the layout of Linux's `user_pt_regs`.
    #[inline(always)]
    pub(crate) fn user(&self) -> &UserRegs {
        &self.user
    }

    /// The registers, to be changed: what is here is what the CPU resumes with. SP of an exception from EL1 is the
    /// exception: the stack that holds this very struct ends there, so a change of it is ignored.
    #[inline(always)]
    pub(crate) fn user_mut(&mut self) -> &mut UserRegs {
        &mut self.user
    }

    /// The interrupted PC.
    #[inline(always)]
    pub(crate) fn pc(&self) -> u64 {
        self.user.pc
    }

    /// Resumes at `pc`.
    #[inline(always)]
    pub(crate) fn set_pc(&mut self, pc: u64) {
        self.user.pc = pc;
    }

    /// The interrupted PSTATE, in SPSR layout.
    #[inline(always)]
    pub(crate) fn pstate(&self) -> u64 {
        self.user.pstate
    }

    /// Resumes with `pstate`.
    #[inline(always)]
    pub(crate) fn set_pstate(&mut self, pstate: u64) {
        self.user.pstate = pstate;
    }

    /// The interrupted stack pointer.
    #[inline(always)]
    pub(crate) fn sp(&self) -> u64 {
        self.user.sp
    }

    /// The frame pointer.
    pub(crate) fn fp(&self) -> u64 {
        self.user.x[29]
    }

    /// The link register.
    pub(crate) fn lr(&self) -> u64 {
        self.user.x[30]
    }

    /// Address of the frame record that stands for this exception in a chain of frames.
    pub(crate) fn frame_address(&self) -> u64 {
        (&raw const self.frame).expose_provenance() as u64
    }
}

/// A hook's answer. `exception.S` looks at bit 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Handled {
    /// Not mine.
    No = 0,
    /// Resume with the registers as they are now.
    Yes = 1,
}

/// A hook for a BRK; called by `exception.S`.
pub(crate) type BrkHook = extern "C" fn(&mut PtRegs) -> Handled;
/// A hook for a step, a breakpoint or a watchpoint.
pub(crate) type Hook = fn(&mut PtRegs) -> Handled;
/// A hook for an abort: registers, ESR_EL1, FAR_EL1.
pub(crate) type FaultHook = fn(&mut PtRegs, u64, u64) -> Handled;

/// Why there is no way on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Death {
    /// A synchronous exception that nobody handled.
    Sync {
        /// ESR_EL1.
        esr: u64,
        /// FAR_EL1.
        far: u64,
    },
    /// A vector that the kernel does not use.
    Vector(usize),
    /// The kernel stack overflowed.
    StackOverflow,
}

/// A slot for a function: one word, read without a lock. Filled once; a second owner is refused.
#[repr(transparent)]
struct Slot(AtomicPtr<()>);

impl Slot {
    const fn empty() -> Self {
        Self(AtomicPtr::new(core::ptr::null_mut()))
    }

    fn fill(&self, f: *mut ()) -> Result<(), SlotTaken> {
        self.0
            .compare_exchange(core::ptr::null_mut(), f, Ordering::Release, Ordering::Relaxed)
            .map(|_| ())
            .map_err(|_| SlotTaken)
    }

    #[inline(always)]
    fn get(&self) -> Option<core::ptr::NonNull<()>> {
        core::ptr::NonNull::new(self.0.load(Ordering::Acquire))
    }
}

/// A slot for a hook of a BRK: never empty, so that `exception.S` need not ask.
#[repr(transparent)]
struct BrkSlot(AtomicPtr<()>);

noinstr! {
    /// The hook of a BRK that nobody wants.
    extern "C" fn nobody(_: &mut PtRegs) -> Handled {
        Handled::No
    }
}

/// The slot has an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotTaken;

/// BRK immediates with a slot: those below this number. Linux's own fit (kprobe 4, kprobe step 6, …).
pub(crate) const BRK_SLOTS: usize = 16;
const FAULT_SLOTS: usize = 6;

static BRK: [BrkSlot; BRK_SLOTS] = [const { BrkSlot(AtomicPtr::new(nobody as *mut ())) }; BRK_SLOTS];
static FAULT: [Slot; FAULT_SLOTS] = [const { Slot::empty() }; FAULT_SLOTS];
static STEP_HOOK: Slot = Slot::empty();
static BREAKPOINT: Slot = Slot::empty();
static WATCHPOINT: Slot = Slot::empty();
static IRQ: Slot = Slot::empty();
static SOFTIRQ: Slot = Slot::empty();
static IRQ_EXIT: Slot = Slot::empty();
static DIE: Slot = Slot::empty();

/// Which debug exception a hook is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DebugClass {
    /// Software step.
    Step,
    /// Hardware breakpoint.
    Breakpoint,
    /// Hardware watchpoint.
    Watchpoint,
}

/// Hands BRK #`imm` at EL1 to `hook`. Immediates from [`BRK_SLOTS`] on have no slot.
pub(crate) fn register_brk(imm: u16, hook: BrkHook) -> Result<(), SlotTaken> {
    let slot = BRK.get(usize::from(imm)).ok_or(SlotTaken)?;
    slot.0
        .compare_exchange(nobody as *mut (), hook as *mut (), Ordering::Release, Ordering::Relaxed)
        .map(|_| ())
        .map_err(|_| SlotTaken)
}

/// Hands a class of debug exceptions at EL1 to `hook`.
pub(crate) fn register_debug(class: DebugClass, hook: Hook) -> Result<(), SlotTaken> {
    let slot = match class {
        DebugClass::Step => &STEP_HOOK,
        DebugClass::Breakpoint => &BREAKPOINT,
        DebugClass::Watchpoint => &WATCHPOINT,
    };
    slot.fill(hook as *mut ())
}

/// Offers aborts at EL1 to `hook`, after those registered before.
pub(crate) fn register_fault(hook: FaultHook) -> Result<(), SlotTaken> {
    FAULT.iter().find_map(|slot| slot.fill(hook as *mut ()).ok()).ok_or(SlotTaken)
}

/// Hands interrupts to `handler`.
pub(crate) fn set_irq(handler: fn(&mut PtRegs)) -> Result<(), SlotTaken> {
    IRQ.fill(handler as *mut ())
}

/// Called, with interrupts masked, when an interrupt returns to code that is in none and [`pending_softirqs`] says that
/// something is to be done first. It may let interrupts in, and masks them again.
pub(crate) fn set_softirq(handler: fn()) -> Result<(), SlotTaken> {
    SOFTIRQ.fill(handler as *mut ())
}

/// Called, with interrupts masked, when an interrupt returns to code that may be preempted and that somebody wants to
/// be preempted.
pub(crate) fn set_irq_exit(handler: fn(&mut PtRegs)) -> Result<(), SlotTaken> {
    IRQ_EXIT.fill(handler as *mut ())
}

/// Called when there is no way on.
pub(crate) fn set_die(handler: fn(&mut PtRegs, Death) -> !) -> Result<(), SlotTaken> {
    DIE.fill(handler as *mut ())
}

// Exception classes (ESR_EL1.EC; Arm ARM D19.2.40).
const EC_INSTRUCTION_ABORT: u64 = 0x21;
const EC_DATA_ABORT: u64 = 0x25;
const EC_BREAKPOINT: u64 = 0x31;
const EC_STEP: u64 = 0x33;
const EC_WATCHPOINT: u64 = 0x35;
const EC_BRK64: u64 = 0x3c;
const EC_SHIFT: u32 = 26;
/// ESR_EL1.IL: the instruction has 32 bits.
const ESR_IL: u64 = 1 << 25;

noinstr! {
    /// A synchronous exception from EL1, with its ESR_EL1, that is no BRK with a hook who wants it.
    #[unsafe(no_mangle)]
    extern "C" fn el1_sync(regs: &mut PtRegs, esr: u64) {
        let handled = match esr >> EC_SHIFT {
            EC_DATA_ABORT | EC_INSTRUCTION_ABORT => fault(regs, esr),
            EC_STEP => hook(&STEP_HOOK, regs),
            EC_BREAKPOINT => hook(&BREAKPOINT, regs),
            EC_WATCHPOINT => hook(&WATCHPOINT, regs),
            _ => Handled::No,
        };
        if handled == Handled::No {
            die(regs, Death::Sync { esr, far: FAR_EL1.get() });
        }
    }

    /// An interrupt from EL1.
    #[unsafe(no_mangle)]
    extern "C" fn el1_irq(regs: &mut PtRegs) {
        let thread = thread::current();
        thread.add(HARDIRQ_OFFSET);
        if let Some(handler) = IRQ.get() {
            // SAFETY: `set_irq` alone fills the slot, with a function of this type.
            unsafe { core::mem::transmute::<*mut (), fn(&mut PtRegs)>(handler.as_ptr())(regs) };
        }
        thread.sub(HARDIRQ_OFFSET);
        if pending_softirqs().load(Ordering::Relaxed) != 0 {
            softirqs();
        }
        if thread.count() == 0
            && thread.need_resched.load(Ordering::Relaxed) != 0
            && let Some(handler) = IRQ_EXIT.get()
        {
            // SAFETY: `set_irq_exit` alone fills the slot, with a function of this type.
            unsafe { core::mem::transmute::<*mut (), fn(&mut PtRegs)>(handler.as_ptr())(regs) };
        }
    }

    /// Something is to be done after interrupts; now, if this was the only one and came to no softirq.
    #[cold]
    #[inline(never)]
    fn softirqs() {
        if thread::current().count() & (HARDIRQ_MASK | SOFTIRQ_MASK | NMI_MASK) == 0
            && let Some(handler) = SOFTIRQ.get()
        {
            // SAFETY: `set_softirq` alone fills the slot, with a function of this type.
            unsafe { core::mem::transmute::<*mut (), fn()>(handler.as_ptr())() };
        }
    }

    /// An abort from EL1: the fault hooks in turn.
    fn fault(regs: &mut PtRegs, esr: u64) -> Handled {
        let far = FAR_EL1.get();
        for slot in &FAULT {
            let Some(handler) = slot.get() else { break };
            // SAFETY: `register_fault` alone fills these slots, with functions of this type.
            let handler = unsafe { core::mem::transmute::<*mut (), FaultHook>(handler.as_ptr()) };
            if handler(regs, esr, far) == Handled::Yes {
                return Handled::Yes;
            }
        }
        Handled::No
    }

    /// An exception through a vector that the kernel does not use (numbered as in the table of exception.S).
    #[unsafe(no_mangle)]
    extern "C" fn exception_unexpected(regs: &mut PtRegs, vector: usize) -> ! {
        die(regs, Death::Vector(vector))
    }

    /// The stack has no room for an exception. Runs on the overflow stack.
    #[unsafe(no_mangle)]
    extern "C" fn exception_stack_overflow(regs: &mut PtRegs) -> ! {
        die(regs, Death::StackOverflow)
    }
}

#[inline(always)]
fn hook(slot: &Slot, regs: &mut PtRegs) -> Handled {
    match slot.get() {
        // SAFETY: only `register_debug` fills the slots passed here, with functions of this type.
        Some(hook) => unsafe { core::mem::transmute::<*mut (), Hook>(hook.as_ptr())(regs) },
        None => Handled::No,
    }
}

fn die(regs: &mut PtRegs, death: Death) -> ! {
    if let Some(handler) = DIE.get() {
        // SAFETY: `set_die` alone fills the slot, with a function of this type.
        unsafe { core::mem::transmute::<*mut (), fn(&mut PtRegs, Death) -> !>(handler.as_ptr())(regs, death) }
    }
    crate::arch::power::halt()
}

/// What is to be done on this CPU after an interrupt, a bit each (`irq::softirq`).
#[unsafe(link_section = ".percpu")]
static PENDING_SOFTIRQS: AtomicU32 = AtomicU32::new(0);

/// This CPU's bits. The caller cannot be migrated while it uses them.
#[inline(always)]
pub(crate) fn pending_softirqs() -> &'static AtomicU32 {
    // SAFETY: the copy of a per-CPU variable lives as long as the kernel.
    unsafe { &*crate::arch::cpu::this_cpu_ptr(&raw const PENDING_SOFTIRQS) }
}

/// Top of the stack on which a CPU reports that its stack overflowed.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".percpu")]
static OVERFLOW_STACK_TOP: AtomicUsize = AtomicUsize::new(0);

/// Gives CPU `cpu` its overflow stack.
pub(crate) fn set_overflow_stack(cpu: usize, top: usize) {
    let slot = (&raw const OVERFLOW_STACK_TOP).wrapping_byte_add(crate::arch::cpu::percpu_offset(cpu));
    // SAFETY: the copy of a per-CPU variable lives as long as the kernel.
    unsafe { &*slot }.store(top, Ordering::Release);
}

global_asm!(
    include_str!("exception.S"),
    size = const size_of::<PtRegs>(),
    regs = const offset_of!(PtRegs, user),
    pc = const offset_of!(PtRegs, user) + offset_of!(UserRegs, pc),
    frame = const offset_of!(PtRegs, frame),
    stack_shift = const STACK_SHIFT,
    sync = sym el1_sync,
    irq = sym el1_irq,
    unexpected = sym exception_unexpected,
    overflow = sym exception_stack_overflow,
    overflow_stack = sym OVERFLOW_STACK_TOP,
    brk = sym BRK,
    brk_esr = const EC_BRK64 << EC_SHIFT | ESR_IL,
    brk_slots = const BRK_SLOTS,
);
