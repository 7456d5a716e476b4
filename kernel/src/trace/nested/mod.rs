//! A storm of nested records, for tests: every level of every CPU writes into the rings, in the middle of each other's
//! records, while somebody reads and somebody changes the rings' sizes.
//!
//! ```text
//!   task       reserve ──┬───────────────────────────────────────────┬─ commit
//!                        │ calls a probed function                    │
//!   exception            └ reserve, commit                            │
//!   irq                    ▲ asked for in the middle: reserve ──┬─ … ─┤
//!   exception              │                                    └ …   │
//!   softirq                └ raised by it: reserve ──┬── … ───────────┘
//!                                                    └ irq, exception …
//! ```
//!
//! Each record says which level of which CPU made it and its number there. Numbers are given before the ring is asked;
//! so a number that no reader finds was refused or overwritten, and the ring's counts must say so.

pub(crate) mod selftest;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hint::black_box;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tracecore::errno::Errno;
use tracecore::event::RAW_DATA_ID;
use tracecore::ring::{self, Lane, Record};

use super::{buffer, rings};
use crate::arch::cpu;
use crate::exception::PtRegs;
use crate::irq::softirq::{self, Vector};
use crate::kprobes::{Flow, Handler, Kprobe};
use crate::sync::{CpuPin, IrqWork, Pinned, PreemptGuard, per_cpu};
use crate::task::{self, Prio, TaskRef};

/// Who writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Level {
    Task,
    Softirq,
    Irq,
    Exception,
}

/// The softirq of a storm: nobody else's, since an action stays for ever.
const MINE: Vector = Vector::NetRx;
const LEVELS: usize = 4;
/// The words of a record: header, level and CPU, number, and this many times the number again.
const FIXED: usize = 3;
const MOST_FILL: u64 = 24;

per_cpu! {
    /// The next number of each level.
    static NUMBERS: [AtomicU64; LEVELS] = [const { AtomicU64::new(0) }; LEVELS];
    /// What makes the disturbances differ.
    static CHANCE: AtomicU64 = AtomicU64::new(0x9e37_79b9_7f4a_7c15);
    static INTERRUPT: IrqWork = IrqWork::new(|| write(Level::Irq, &PreemptGuard::new()));
}

/// A storm is on; its softirq stays registered.
static ON: AtomicBool = AtomicBool::new(false);

/// Called in the middle of records; what is probed.
#[inline(never)]
extern "C" fn stepping_stone(n: u64) -> u64 {
    black_box(n) + 1
}

struct Hit;

impl Handler for Hit {
    fn pre(&self, _addr: u64, _regs: &mut PtRegs, pin: &CpuPin) -> Flow {
        write(Level::Exception, pin);
        Flow::Continue
    }

    fn name(&self) -> &str {
        "nested"
    }
}

fn chance(pin: &impl Pinned) -> u64 {
    // A level in between may take the same number; so be it.
    let state = CHANCE.this_cpu(pin);
    let mut x = state.load(Ordering::Relaxed) + cpu::id() as u64;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    state.store(x, Ordering::Relaxed);
    x
}

/// Writes a record of this level, with others in the middle of it.
fn write(level: Level, pin: &impl Pinned) {
    let Some(number) = NUMBERS.this_cpu(pin).get(level as usize) else { return };
    let number = number.fetch_add(1, Ordering::Relaxed);
    let chance = chance(pin);
    let fill = (chance >> 32) % MOST_FILL;
    // What is refused is counted by the ring.
    let Ok(record) = buffer::reserve(pin, (FIXED + fill as usize) * 8) else { return };
    record.put_u64(0, buffer::header(RAW_DATA_ID));
    record.put_u64(8, (level as u64) << 32 | cpu::id() as u64);
    record.put_u64(16, number);
    disturb(level, chance, pin);
    for word in FIXED..FIXED + fill as usize {
        record.put_u64(word * 8, number);
    }
    record.commit();
}

fn disturb(level: Level, chance: u64, pin: &impl Pinned) {
    if level != Level::Exception && chance & 3 != 0 {
        black_box(stepping_stone(chance));
    }
    match level {
        Level::Task | Level::Softirq if chance & 12 == 4 => {
            INTERRUPT.on(cpu::id()).queue(pin);
        }
        Level::Irq if chance & 8 != 0 && ON.load(Ordering::Relaxed) => softirq::raise(MINE),
        _ => {}
    }
}

/// Writers on every CPU, until it is stopped.
struct Storm {
    probe: Kprobe,
    stop: Arc<AtomicBool>,
    tasks: Vec<TaskRef>,
    before: Vec<u64>,
}

fn numbers(cpu: usize) -> u64 {
    NUMBERS.on(cpu).iter().map(|number| number.load(Ordering::Relaxed)).sum()
}

impl Storm {
    fn begin() -> Result<Self, Errno> {
        match softirq::register(MINE, || write(Level::Softirq, &PreemptGuard::new())) {
            // By the storm before.
            Ok(()) | Err(Errno::EBUSY) => {}
            Err(e) => return Err(e),
        }
        let stone: extern "C" fn(u64) -> u64 = stepping_stone;
        // Behind the patchable entry, which has an owner of its own.
        let probe = Kprobe::register(stone as usize + 8, Arc::new(Hit)).map_err(|refusal| refusal.errno())?;
        probe.arm().map_err(|refusal| refusal.errno())?;
        let before = rings::cpus().map(numbers).collect();
        ON.store(true, Ordering::Relaxed);
        let stop = Arc::new(AtomicBool::new(false));
        let mut storm = Self { probe, stop, tasks: Vec::new(), before };
        for on in 0..cpu::online() {
            let stop = storm.stop.clone();
            let work = Box::new(move || {
                while !stop.load(Ordering::Relaxed) {
                    write(Level::Task, &PreemptGuard::new());
                }
            });
            storm.tasks.push(task::spawn_on("storm", Prio::NORMAL, 1 << on, work)?);
        }
        Ok(storm)
    }

    /// Stops; how many records each CPU has tried to write.
    fn end(mut self) -> Vec<u64> {
        self.silence();
        rings::cpus().zip(&self.before).map(|(cpu, before)| numbers(cpu) - before).collect()
    }

    fn silence(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        ON.store(false, Ordering::Relaxed);
        for task in self.tasks.drain(..) {
            // Fails for the running task only.
            let _ = task.join();
        }
        // What was asked for last runs before this returns: interrupts at once, softirqs behind them.
        crate::sync::on_each_cpu(&|| {});
        crate::sync::quiesce::synchronize();
        // Armed no more; a probe that cannot be disarmed would say so when it is dropped.
        let _ = self.probe.disarm();
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        self.silence();
    }
}

/// What a reader has found in one CPU's ring.
#[derive(Clone, Default, Debug, PartialEq, Eq)]
struct Found {
    read: u64,
    lost: u64,
    /// The next number of each level, at least.
    next: [u64; LEVELS],
    /// What was wrong with a record.
    wrong: Option<&'static str>,
}

impl Found {
    fn note(&mut self, cpu: usize, record: &Record) {
        self.read += 1;
        self.lost += record.lost;
        let mut words =
            record.bytes().as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word)).skip(1);
        let (Some(tag), Some(number)) = (words.next(), words.next()) else {
            self.wrong = Some("a record too short");
            return;
        };
        if tag as u32 as usize != cpu {
            self.wrong = Some("a record of another CPU");
        }
        if words.any(|word| word != number) {
            self.wrong = Some("a torn record");
        }
        match self.next.get_mut((tag >> 32) as usize) {
            Some(next) if number >= *next => *next = number + 1,
            Some(_) => self.wrong = Some("a record out of order"),
            None => self.wrong = Some("a record of no level"),
        }
    }
}

/// Takes everything that is there.
fn take(found: &mut [Found], record: &mut Record) {
    let held = rings::hold_all(None);
    let mut lanes: Vec<_> =
        held.iter().filter_map(|held| Some(Lane::consuming(held.cpu, held.reader()?))).collect();
    // As many as two full rings hold: with writers on, there is always one more.
    for _ in 0..100_000 {
        let Some(cpu) = ring::next_of(&mut lanes, record) else { return };
        if let Some(found) = found.get_mut(cpu) {
            found.note(cpu, record);
        }
    }
}
