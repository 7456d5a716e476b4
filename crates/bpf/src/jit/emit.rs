//! Words, branches whose targets are not known yet, and constants.
//!
//! ```text
//!   words       ┌ code ────────────────────────────┬ constants ┐
//!               │ … b.eq ? … ldr x10, ? … bl ? …    │ 8 bytes each
//!   opens          b.eq, slot 12   ldr, constant 0
//!   calls                                  bl, helper
//! ```
//!
//! A branch is kept as what it is ([`Form`]) and encoded when all targets are known. A word that cannot be encoded breaks the
//! buffer, and so does memory that runs out; the break is told once, at the end. So the instructions need no error path each.

use alloc::vec::Vec;

use a64::encode::arith::{self, Sf};
use a64::encode::{self, EncodeError, Gpr};
use a64::{Cond, Insn};

/// How many words a program may have: what a conditional branch reaches over.
pub const MAX_WORDS: usize = encode::IMM19_RANGE as usize / 4 - 1;

/// A place that is branched to. Those below the number of slots are slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Label(u32);

/// A word that waits for its target.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    B,
    Bl,
    If(Cond),
    /// `cbz`, or `cbnz` where the flag is set.
    Zero(Sf, Gpr, bool),
    /// `tbz`, or `tbnz` where the flag is set.
    Bit(Gpr, u32, bool),
    Adr(Gpr),
    Constant(Gpr),
}

impl Form {
    fn encode(self, offset: i64) -> Result<Insn, EncodeError> {
        match self {
            Self::B => encode::b(offset),
            Self::Bl => encode::bl(offset),
            Self::If(cond) => encode::b_cond(cond, offset),
            Self::Zero(Sf::X, reg, false) => encode::cbz(reg, offset),
            Self::Zero(Sf::X, reg, true) => encode::cbnz(reg, offset),
            Self::Zero(Sf::W, reg, false) => encode::cbz_w(reg, offset),
            Self::Zero(Sf::W, reg, true) => encode::cbnz_w(reg, offset),
            Self::Bit(reg, bit, false) => encode::tbz(reg, bit, offset),
            Self::Bit(reg, bit, true) => encode::tbnz(reg, bit, offset),
            Self::Adr(reg) => encode::adr(reg, offset),
            Self::Constant(reg) => encode::ldr_literal(reg, offset),
        }
    }
}

struct Open {
    word: u32,
    to: Label,
    form: Form,
}

/// A call out of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) word: u32,
    pub(super) slot: u32,
    pub(super) target: u64,
}

/// Why there are no words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// A test of a bit does not reach.
    Far,
    /// More than [`MAX_WORDS`].
    Full,
    /// No memory.
    Memory,
    /// At this word.
    Encoding(usize),
}

pub(super) struct Buffer {
    words: Vec<u32>,
    /// Where each label is; `NOWHERE` if nowhere yet.
    labels: Vec<u32>,
    open: Vec<Open>,
    calls: Vec<Call>,
    /// Sorted.
    constants: Vec<(u64, Label)>,
    broken: Option<Broken>,
}

const NOWHERE: u32 = u32::MAX;

impl Buffer {
    /// A buffer with a label for each of so many slots.
    pub(super) fn new(slots: usize) -> Self {
        let mut buffer = Self {
            words: Vec::new(),
            labels: Vec::new(),
            open: Vec::new(),
            calls: Vec::new(),
            constants: Vec::new(),
            broken: None,
        };
        let reserved =
            buffer.words.try_reserve(2 * slots).and_then(|()| buffer.labels.try_reserve(2 * slots));
        match reserved {
            Ok(()) => buffer.labels.resize(slots, NOWHERE),
            Err(_) => buffer.broken = Some(Broken::Memory),
        }
        buffer
    }

    pub(super) fn len(&self) -> usize {
        self.words.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.words.len() > MAX_WORDS
    }

    /// Appends a word.
    pub(super) fn put(&mut self, insn: Insn) {
        self.word(insn.0);
    }

    fn word(&mut self, word: u32) {
        if !push(&mut self.words, word) {
            self.broken = Some(Broken::Memory);
        }
    }

    /// Appends a word that can be encoded, or else the buffer is broken.
    pub(super) fn must(&mut self, insn: Result<Insn, EncodeError>) {
        if !self.fits(insn) {
            self.broken.get_or_insert(Broken::Encoding(self.words.len()));
        }
    }

    /// Appends a word if it can be encoded; says whether.
    pub(super) fn fits(&mut self, insn: Result<Insn, EncodeError>) -> bool {
        insn.map(|insn| self.put(insn)).is_ok()
    }

    /// The label of a slot.
    pub(super) fn slot(&self, slot: usize) -> Label {
        Label(slot as u32)
    }

    /// A new label.
    pub(super) fn label(&mut self) -> Label {
        let label = Label(self.labels.len() as u32);
        if !push(&mut self.labels, NOWHERE) {
            self.broken = Some(Broken::Memory);
        }
        label
    }

    /// A slot begins here.
    pub(super) fn place(&mut self, slot: usize) {
        self.place_label(Label(slot as u32));
    }

    /// A label is here.
    pub(super) fn place_label(&mut self, label: Label) {
        let here = self.words.len() as u32;
        if let Some(at) = self.labels.get_mut(label.0 as usize) {
            *at = here;
        }
    }

    /// A word that leads to a label.
    pub(super) fn branch(&mut self, form: Form, to: Label) {
        if !push(&mut self.open, Open { word: self.words.len() as u32, to, form }) {
            self.broken = Some(Broken::Memory);
        }
        self.word(0);
    }

    /// `bl` of something outside.
    pub(super) fn call(&mut self, slot: usize, target: u64) {
        if !push(&mut self.calls, Call { word: self.words.len() as u32, slot: slot as u32, target }) {
            self.broken = Some(Broken::Memory);
        }
        self.word(0);
    }

    /// A register gets a number, in the fewest words.
    pub(super) fn constant(&mut self, rd: Gpr, value: u64) {
        let Some(moves) = Moves::of(value) else {
            // Three or four moves, or one load.
            let label = match self.constants.binary_search_by_key(&value, |(value, _)| *value) {
                Ok(n) => self.constants.get(n).map(|(_, label)| *label),
                Err(n) => self.constants.try_reserve(1).ok().map(|()| {
                    let label = self.label();
                    self.constants.insert(n, (value, label));
                    label
                }),
            };
            let Some(label) = label else {
                self.broken = Some(Broken::Memory);
                return;
            };
            return self.branch(Form::Constant(rd), label);
        };
        self.moves(rd, moves);
    }

    /// The same with no word beside the code.
    pub(super) fn constant_in_code(&mut self, rd: Gpr, value: u64) {
        match Moves::of(value) {
            Some(moves) => self.moves(rd, moves),
            None => encode::mov_imm(rd, value).into_iter().for_each(|insn| self.put(insn)),
        }
    }

    fn moves(&mut self, rd: Gpr, moves: Moves) {
        match moves {
            Moves::Wide(part, shift) => self.must(encode::movz(rd, part, shift)),
            Moves::Not(part, shift) => self.must(encode::movn(rd, part, shift)),
            Moves::NotW(part, shift) => self.must(arith::movn_w(rd, part, shift)),
            Moves::Mask(sf, value) => self.must(arith::orr_i(sf, rd, Gpr::ZR, value)),
            Moves::WideThenKeep(first, second) => {
                self.must(encode::movz(rd, first.0, first.1));
                self.must(encode::movk(rd, second.0, second.1));
            }
            Moves::NotThenKeep(first, second) => {
                self.must(encode::movn(rd, first.0, first.1));
                self.must(encode::movk(rd, second.0, second.1));
            }
        }
    }

    /// The words with all branches encoded, how many are code, and the calls.
    pub(super) fn finish(mut self) -> Result<(Vec<u32>, usize, Vec<Call>), Broken> {
        if let Some(broken) = self.broken {
            return Err(broken);
        }
        let code = self.words.len();
        if !self.constants.is_empty() && !code.is_multiple_of(2) {
            self.put(encode::brk(0));
        }
        for (value, label) in core::mem::take(&mut self.constants) {
            self.place_label(label);
            self.word(value as u32);
            self.word((value >> 32) as u32);
        }
        if let Some(broken) = self.broken {
            return Err(broken);
        }
        if self.is_full() {
            return Err(Broken::Full);
        }
        for Open { word, to, form } in core::mem::take(&mut self.open) {
            let at = self.labels.get(to.0 as usize).copied().filter(|at| *at != NOWHERE);
            let at = at.ok_or(Broken::Encoding(word as usize))?;
            let insn = form.encode(4 * (i64::from(at) - i64::from(word))).map_err(|_| match form {
                Form::Bit(..) => Broken::Far,
                _ => Broken::Encoding(word as usize),
            })?;
            if let Some(place) = self.words.get_mut(word as usize) {
                *place = insn.0;
            }
        }
        Ok((self.words, code, self.calls))
    }
}

/// Appends, if there is memory; says whether.
fn push<T>(to: &mut Vec<T>, value: T) -> bool {
    let room = to.try_reserve(1).is_ok();
    if room {
        to.push(value);
    }
    room
}

/// One or two moves that make a number. A part is 16 bits and where they are.
enum Moves {
    Wide(u16, u32),
    Not(u16, u32),
    NotW(u16, u32),
    Mask(Sf, u64),
    WideThenKeep((u16, u32), (u16, u32)),
    NotThenKeep((u16, u32), (u16, u32)),
}

impl Moves {
    fn of(value: u64) -> Option<Self> {
        let parts = |value: u64| [0, 16, 32, 48].map(|shift| ((value >> shift) as u16, shift));
        // The parts that differ from the rest, if there are at most two.
        let few = |value: u64, rest: u16| {
            let mut differing = parts(value).into_iter().filter(move |(part, _)| *part != rest);
            let (first, second, third) = (differing.next(), differing.next(), differing.next());
            third.is_none().then_some((first.unwrap_or((rest, 0)), second))
        };
        let (wide, not) = (few(value, 0), few(value, 0xffff));
        if let Some(((part, shift), None)) = wide {
            return Some(Self::Wide(part, shift));
        }
        if let Some(((part, shift), None)) = not {
            return Some(Self::Not(!part, shift));
        }
        if let Ok(low) = u32::try_from(value) {
            match [low as u16, (low >> 16) as u16] {
                [part, 0xffff] => return Some(Self::NotW(!part, 0)),
                [0xffff, part] => return Some(Self::NotW(!part, 16)),
                _ => {}
            }
            if arith::bitmask(Sf::W, value).is_some() {
                return Some(Self::Mask(Sf::W, value));
            }
        }
        if arith::bitmask(Sf::X, value).is_some() {
            return Some(Self::Mask(Sf::X, value));
        }
        match (wide, not) {
            (Some((first, Some(second))), _) => Some(Self::WideThenKeep(first, second)),
            (_, Some(((part, shift), Some(second)))) => Some(Self::NotThenKeep((!part, shift), second)),
            _ => None,
        }
    }
}
