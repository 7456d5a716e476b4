//! Interrupts at every step.
//!
//! The ring's source is compiled here with atomics that, before each access, may run something else to its end: a
//! writer's level that interrupts, or a reader on another CPU that is faster. Every plan of the form "at access `i` of
//! the outer operation do A, and at access `j` of A do B" is run, for all `i` and `j`, from all fillings of a page, on
//! rings so small that every few events cross to another page. What is checked after each: nothing is torn, nothing
//! is there twice, times do not go back, and the books balance to the event.

extern crate alloc;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use ring::{CpuRing, MAX_RECORD_BYTES, Mode, Record, Refused, Reservation, Totals};

#[path = "../src/ring/mod.rs"]
#[expect(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "compiled for its mechanism; this test uses some of what it offers"
)]
mod ring;

/// The atomics with something in between, and pages of 16 words.
mod ring_env {
    pub(crate) use core::sync::atomic::{Ordering, fence};

    pub(crate) const OFF_BITS: u32 = 4;

    #[derive(Default)]
    pub(crate) struct Word(core::sync::atomic::AtomicU64);

    impl Word {
        pub(crate) fn new(value: u64) -> Self {
            Self(value.into())
        }

        pub(crate) fn load(&self, order: Ordering) -> u64 {
            super::step();
            self.0.load(order)
        }

        pub(crate) fn store(&self, value: u64, order: Ordering) {
            super::step();
            self.0.store(value, order);
        }

        pub(crate) fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
            super::step();
            self.0.fetch_add(value, order)
        }

        pub(crate) fn fetch_or(&self, value: u64, order: Ordering) -> u64 {
            super::step();
            self.0.fetch_or(value, order)
        }

        pub(crate) fn fetch_and(&self, value: u64, order: Ordering) -> u64 {
            super::step();
            self.0.fetch_and(value, order)
        }

        pub(crate) fn compare_exchange(
            &self,
            old: u64,
            new: u64,
            ok: Ordering,
            no: Ordering,
        ) -> Result<u64, u64> {
            super::step();
            self.0.compare_exchange(old, new, ok, no)
        }

        pub(crate) fn compare_exchange_weak(
            &self,
            old: u64,
            new: u64,
            ok: Ordering,
            no: Ordering,
        ) -> Result<u64, u64> {
            self.compare_exchange(old, new, ok, no)
        }
    }
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Op {
    /// That many records of one to three words each.
    Write(usize),
    /// The longest record there can be.
    Long,
    /// Reserves and gives up.
    Discard,
    /// Reserves, writes that many, then gives up.
    DiscardAround(usize),
    /// Reserves, writes that many, then commits.
    Around(usize),
    /// Reserves, gives up one inside, then commits.
    AroundDiscard,
    /// Consumes one event.
    Read,
    /// Consumes all.
    Drain,
    /// Looks at all.
    Look,
    /// Throws all away.
    Reset,
}

impl Op {
    fn reads(self) -> bool {
        matches!(self, Self::Read | Self::Drain | Self::Look | Self::Reset)
    }
}

/// One run.
struct Run {
    ring: CpuRing,
    /// At that step of that depth, do that.
    plan: Vec<(usize, Op)>,
    depth: Cell<usize>,
    /// Steps left at each depth until the plan's operation.
    left: RefCell<Vec<usize>>,
    next_id: Cell<u64>,
    asked: Cell<u64>,
    committed: RefCell<Vec<u64>>,
    got: RefCell<Vec<(u64, u64)>>,
    lost: Cell<u64>,
}

thread_local! {
    static RUN: RefCell<Option<Rc<Run>>> = const { RefCell::new(None) };
    static NOW: Cell<u64> = const { Cell::new(0) };
}

fn now() -> u64 {
    step();
    NOW.replace(NOW.get() + 1)
}

/// Before each access.
fn step() {
    let Some(run) = RUN.with_borrow(Clone::clone) else { return };
    let depth = run.depth.get();
    let Some(&(_, op)) = run.plan.get(depth) else { return };
    let due = {
        let mut left = run.left.borrow_mut();
        left[depth] = left[depth].wrapping_sub(1);
        left[depth] == usize::MAX
    };
    if due {
        run.depth.set(depth + 1);
        run.perform(op);
        run.depth.set(depth);
    }
}

/// What the words of that record hold: its number, and bits that no other word has.
fn word_of(id: u64, i: usize) -> u64 {
    id | (id + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(i as u32 * 8) << 16
}

/// The number of a record, which must be whole.
fn id_of(record: &Record) -> u64 {
    let words = record.bytes().as_chunks::<8>().0;
    let id = u64::from_le_bytes(words[0]) & 0xffff;
    let whole = words.iter().enumerate().all(|(i, word)| u64::from_le_bytes(*word) == word_of(id, i));
    assert!(whole, "torn: {words:x?}");
    id
}

impl Run {
    fn id(&self) -> u64 {
        self.asked.set(self.asked.get() + 1);
        self.next_id.replace(self.next_id.get() + 1)
    }

    /// Fills and commits.
    fn finish(&self, record: Reservation<'_>, id: u64) {
        for i in 0..record.len() / 8 {
            assert!(record.put_u64(i * 8, word_of(id, i)));
        }
        record.commit();
        self.committed.borrow_mut().push(id);
    }

    fn put(&self, words: usize) {
        let id = self.id();
        if let Ok(record) = self.ring.reserve(words * 8, now) {
            self.finish(record, id);
        }
    }

    fn write(&self, n: usize) {
        for _ in 0..n {
            self.put(1 + self.next_id.get() as usize % 3);
        }
    }

    /// What interrupts does not look behind: a reader that is interrupted has the lock.
    fn perform(&self, op: Op) {
        let mut record = Record::new();
        match op {
            Op::Write(n) => self.write(n),
            Op::Long => self.put(MAX_RECORD_BYTES / 8),
            Op::Discard | Op::DiscardAround(_) | Op::Around(_) | Op::AroundDiscard => {
                let id = self.id();
                let record = self.ring.reserve(16, now);
                if let Op::DiscardAround(n) | Op::Around(n) = op {
                    self.write(n);
                }
                if op == Op::AroundDiscard {
                    self.perform(Op::Discard);
                }
                if let (Op::Around(_) | Op::AroundDiscard, Ok(record)) = (op, record) {
                    self.finish(record, id);
                }
            }
            Op::Read | Op::Drain => {
                let Some(mut reader) = self.ring.reader() else { return };
                while reader.read(&mut record) {
                    self.got.borrow_mut().push((id_of(&record), record.ts));
                    self.lost.set(self.lost.get() + record.lost);
                    if op == Op::Read {
                        break;
                    }
                }
            }
            Op::Look => {
                let Some(reader) = self.ring.reader() else { return };
                let mut cursor = reader.cursor();
                let mut seen = Vec::new();
                while reader.look(&mut cursor, &mut record) {
                    seen.push((record.ts, id_of(&record)));
                }
                assert!(seen.is_sorted_by(|a, b| a.0 < b.0), "{seen:?}");
            }
            Op::Reset => {
                if let Some(mut reader) = self.ring.reader() {
                    reader.reset();
                }
            }
        }
    }

    /// All that must hold when everything is quiet.
    fn check(&self, plan: &[(usize, Op)]) {
        let totals = || self.ring.reader().unwrap().totals();
        let written = self.committed.borrow().len() as u64;
        let t = totals();
        let refused = t.dropped + t.commit_overrun + t.too_long + t.contended + t.discarded;
        assert_eq!((t.written, t.written + refused), (written, self.asked.get()), "{t:?}");
        assert_eq!(t.written, t.read + t.overrun + t.erased + t.entries, "{t:?}");
        let before = self.got.borrow().len() as u64;
        self.perform(Op::Look);
        self.perform(Op::Drain);
        let got = self.got.borrow();
        assert_eq!(got.len() as u64 - before, t.entries, "{t:?}");
        assert_eq!(totals(), Totals { read: t.read + t.entries, entries: 0, ..t });
        assert!(got.is_sorted_by(|a, b| a.1 < b.1), "times: {got:?}");
        let mut ids: Vec<u64> = got.iter().map(|event| event.0).collect();
        let mut committed = self.committed.borrow().clone();
        ids.sort_unstable();
        committed.sort_unstable();
        assert!(ids.is_sorted_by(|a, b| a < b), "twice: {ids:?}");
        assert!(ids.iter().all(|id| committed.binary_search(id).is_ok()));
        assert!(self.lost.get() <= t.overrun);
        let gives_up = |&(_, op): &(usize, Op)| {
            matches!(op, Op::Discard | Op::DiscardAround(_) | Op::AroundDiscard | Op::Reset)
        };
        if !plan.iter().any(gives_up) {
            assert_eq!(self.lost.get(), t.overrun, "lost and not told");
        }
    }
}

/// Runs a plan; false if its last step was never reached.
fn run(pages: usize, mode: Mode, filling: usize, first: Op, plan: &[(usize, Op)]) -> bool {
    let run = Rc::new(Run {
        ring: CpuRing::new(pages, mode).unwrap(),
        plan: plan.to_vec(),
        depth: Cell::new(0),
        left: RefCell::new(plan.iter().map(|step| step.0).collect()),
        next_id: Cell::new(0),
        asked: Cell::new(0),
        committed: RefCell::default(),
        got: RefCell::default(),
        lost: Cell::new(0),
    });
    NOW.set(1);
    run.write(filling);
    RUN.set(Some(run.clone()));
    run.perform(first);
    RUN.set(None);
    let last = run.left.borrow().last().is_none_or(|left| *left > usize::MAX / 2);
    // The last words before a failure say which plan it was.
    let told = Told(pages, mode, filling, first, plan);
    run.check(&[&[(0, first)], plan].concat());
    core::mem::forget(told);
    last
}

struct Told<'a>(usize, Mode, usize, Op, &'a [(usize, Op)]);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        eprintln!(
            "failed: {} pages, {:?}, {} before, {:?} interrupted by {:?}",
            self.0, self.1, self.2, self.3, self.4
        );
    }
}

/// All steps of the outer operation.
fn once(pages: usize, mode: Mode, filling: usize, first: Op, then: Op) -> usize {
    (0..).take_while(|&i| run(pages, mode, filling, first, &[(i, then)])).count()
}

const WRITERS: [Op; 10] = [
    Op::Write(1),
    Op::Write(3),
    Op::Write(9),
    Op::Write(40),
    Op::Long,
    Op::Discard,
    Op::DiscardAround(2),
    Op::DiscardAround(5),
    Op::Around(7),
    Op::AroundDiscard,
];
const READERS: [Op; 4] = [Op::Read, Op::Drain, Op::Look, Op::Reset];
const MODES: [Mode; 2] = [Mode::Overwrite, Mode::DiscardNewest];

#[test]
fn one_interruption_at_every_step() {
    let mut runs = 0;
    for (pages, filling) in (0..11).map(|filling| (2, filling)).chain((12..15).map(|filling| (3, filling))) {
        for mode in MODES {
            for first in WRITERS.into_iter().chain(READERS) {
                for then in WRITERS.into_iter().chain(READERS).filter(|then| !(first.reads() && then.reads()))
                {
                    runs += once(pages, mode, filling, first, then);
                }
            }
        }
    }
    assert!(runs > 100_000, "{runs}");
}

#[test]
fn two_interruptions_at_every_pair_of_steps() {
    let mut runs = 0;
    let then = [Op::Write(1), Op::Write(4), Op::DiscardAround(1), Op::Drain, Op::Look];
    for (pages, filling) in [(2, 0), (2, 8), (3, 13)] {
        for mode in MODES {
            for first in [Op::Write(1), Op::Long, Op::Discard, Op::Around(2), Op::Drain] {
                for second in then.into_iter().filter(|op| !(first.reads() && op.reads())) {
                    let readers = first.reads() || second.reads();
                    for third in then.into_iter().filter(|op| !(readers && op.reads())) {
                        for i in 0..once(pages, mode, filling, first, second) {
                            let plan = |j| [(i, second), (j, third)];
                            runs += (0..).take_while(|&j| run(pages, mode, filling, first, &plan(j))).count();
                        }
                    }
                }
            }
        }
    }
    assert!(runs > 100_000, "{runs}");
}

#[test]
fn four_levels_at_random_steps() {
    let mut state = 0x1234_5678_9abc_def1u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 20) as usize % below
    };
    for _ in 0..60_000 {
        let pages = 2 + random(4);
        let (mode, filling, mut reads) = (MODES[random(2)], random(40), false);
        let mut pick = |random: &mut dyn FnMut(usize) -> usize| {
            let op = if random(4) == 0 { READERS[random(4)] } else { WRITERS[random(10)] };
            let op = if reads && op.reads() { Op::Write(2) } else { op };
            reads |= op.reads();
            op
        };
        let first = pick(&mut random);
        let plan: Vec<_> = (0..4).map(|_| (random(50), pick(&mut random))).collect();
        run(pages, mode, filling, first, &plan);
    }
}

#[test]
fn interrupts_without_end_are_refused_after_some_tries() {
    // A clock whose every call is interrupted by a whole record.
    thread_local!(static BUSY: RefCell<Option<Rc<CpuRing>>> = const { RefCell::new(None) });
    fn interrupted() -> u64 {
        if let Some(ring) = BUSY.with_borrow(Clone::clone) {
            ring.write_words(&[1], now).unwrap();
        }
        now()
    }
    let ring = Rc::new(CpuRing::new(4, Mode::Overwrite).unwrap());
    BUSY.set(Some(ring.clone()));
    assert_eq!(ring.write_words(&[2], interrupted), Err(Refused::Contended));
    BUSY.set(None);
    assert_eq!(ring.write_words(&[2], interrupted), Ok(()));
    let t = ring.reader().unwrap().totals();
    assert_eq!((t.contended, t.written), (1, t.overrun + t.entries));
}
