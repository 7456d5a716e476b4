//! Programs that a verifier might let through: written as a person would, with a mistake here and there.
//!
//! | registers | |
//! |---|---|
//! | r6 | the context |
//! | r7, r8, r9 | numbers |
//! | r0-r5 | whatever the next lines need |
//!
//! Bounds are chosen near what fits, so that about as many programs are a byte too long as are not.

use std::fmt::Write;

use crate::common::Random;

pub(crate) struct Grow<'a> {
    random: &'a mut Random,
    text: String,
    labels: u32,
    functions: Vec<String>,
    /// So far.
    lines: u32,
}

/// A program as text.
pub(crate) fn program(random: &mut Random) -> String {
    let mut grow = Grow { random, text: String::new(), labels: 0, functions: Vec::new(), lines: 0 };
    grow.line("r6 = r1");
    for reg in 7..=9 {
        let line = match grow.random.below(4) {
            0 => format!("r{reg} = {}", grow.random.below(70) as i64 - 3),
            1 => format!("r{reg} = *(u32 *)(r6 + {})", grow.random.below(34) * 8),
            _ => format!("r{reg} = *(u64 *)(r6 + {})", grow.random.below(34) * 8),
        };
        grow.line(&line);
    }
    for slot in 1..=8 {
        if grow.random.below(40) != 0 {
            grow.line(&format!("*(u64 *)(r10 - {}) = {}", slot * 8, slot));
        }
    }
    let count = 2 + grow.random.below(12);
    for _ in 0..count {
        grow.statement(0);
    }
    let last = if grow.random.below(3) == 0 { "r0 = r7" } else { "r0 = 0" };
    grow.line(&format!("{last}; exit"));
    let functions = core::mem::take(&mut grow.functions);
    grow.text + &functions.concat()
}

/// A program about a callback: numbers go round in eight words of the caller's stack, and some are used as offsets.
pub(crate) fn rounds(random: &mut Random) -> String {
    let mut grow = Grow { random, text: String::new(), labels: 0, functions: Vec::new(), lines: 0 };
    for slot in 1..=8 {
        let n = grow.random.below(4) * 8;
        grow.line(&format!("*(u64 *)(r10 - {}) = {n}", slot * 8));
    }
    grow.line("r6 = r10; r6 += -64");
    let count = ["r1 = 1", "r1 = 2", "r1 = 5", "call get_prandom_u32; r1 = r0; r1 &= 15"];
    let count = count[grow.random.below(4) as usize];
    grow.line(&format!("{count}; r2 = code[f]; r3 = r10; r3 += -64; r4 = 0; call loop"));
    for _ in 0..grow.random.below(3) {
        grow.word(0);
    }
    grow.line("r0 = 0; exit");
    grow.line("f: r6 = r2; r7 = r1");
    for _ in 0..1 + grow.random.below(6) {
        grow.word(0);
    }
    let nested = grow.random.below(4) == 0;
    if nested {
        grow.line("r1 = 3; r2 = code[g]; r3 = r6; r4 = 0; call loop");
        for _ in 0..grow.random.below(2) {
            grow.word(0);
        }
    }
    grow.line("r0 = 0; exit");
    if nested {
        grow.line("g: r6 = r2; r7 = r1");
        for _ in 0..1 + grow.random.below(4) {
            grow.word(0);
        }
        grow.line("r0 = 0; exit");
    }
    grow.text
}

impl Grow<'_> {
    /// Something with the words at r6.
    fn word(&mut self, depth: u32) {
        let (a, b) = (self.random.below(8) * 8, self.random.below(8) * 8);
        let n = self.random.below(3);
        match self.random.below(9) {
            0 | 1 => self.line(&format!("r1 = *(u64 *)(r6 + {a}); *(u64 *)(r6 + {b}) = r1")),
            2 => self.line(&format!("*(u64 *)(r6 + {b}) = {}", n * 35)),
            3 => self.line(&format!("r1 = *(u64 *)(r6 + {a}); r1 += {n}; *(u64 *)(r6 + {b}) = r1")),
            4 | 5 => {
                let out = self.label();
                if self.random.below(3) == 0 {
                    self.line(&format!("r1 = *(u64 *)(r6 + {a}); if r1 > {} goto {out}", 61 + n));
                    self.line("r1 += r6; r2 = *(u8 *)(r1 + 0)");
                } else {
                    self.line(&format!("r1 = *(u64 *)(r6 + {a}); r1 += r6; r2 = *(u8 *)(r1 + {n})"));
                }
                self.line(&format!("{out}: r0 = 0"));
            }
            6 if depth < 3 => {
                let out = self.label();
                let line = match n {
                    0 => format!("r1 = *(u64 *)(r6 + {a}); if r1 > {} goto {out}", self.random.below(40)),
                    _ => format!("call get_prandom_u32; if r0 > 5 goto {out}"),
                };
                self.line(&line);
                for _ in 0..1 + self.random.below(2) {
                    self.word(depth + 1);
                }
                self.line(&format!("{out}: r0 = 0"));
            }
            7 => self.line("r1 = 1; r2 = 2; r3 = 3; r1 += r2; r2 += r3; r3 += r1; r1 = r2"),
            _ => self.line(&format!("*(u{} *)(r6 + {b}) = {}", [8, 16, 32][n as usize], n * 9)),
        }
    }

    fn line(&mut self, line: &str) {
        self.lines += 1;
        // A String takes everything.
        let _ = writeln!(self.text, "{line}");
    }

    fn label(&mut self) -> String {
        self.labels += 1;
        format!("l{}", self.labels)
    }

    fn number(&mut self) -> u64 {
        7 + self.random.below(3)
    }

    /// A number near a bound.
    fn near(&mut self, bound: u64) -> i64 {
        let off = if self.random.below(12) == 0 { 1 } else { -(self.random.below(5) as i64) };
        bound as i64 + off
    }

    fn size(&mut self) -> (&'static str, u64) {
        [("u8", 1), ("u16", 2), ("u32", 4), ("u64", 8)][self.random.below(4) as usize]
    }

    /// `if` of some numbers.
    fn condition(&mut self) -> String {
        let conds = ["==", "!=", ">", ">=", "<", "<=", "s>", "s>=", "s<", "s<=", "&"];
        let cond = conds[self.random.below(11) as usize];
        let w = if self.random.below(4) == 0 { 'w' } else { 'r' };
        let a = self.number();
        if self.random.below(3) == 0 {
            let b = self.number();
            format!("if {w}{a} {cond} {w}{b}")
        } else {
            let bound = [0, 1, 8, 16, 48, 64, 255, -1, -8][self.random.below(9) as usize];
            let n = if self.random.below(2) == 0 { bound } else { bound + self.random.below(9) as i64 };
            format!("if {w}{a} {cond} {n}")
        }
    }

    fn arithmetic(&mut self) {
        let ops = ["+=", "-=", "*=", "/=", "s/=", "|=", "&=", "<<=", ">>=", "%=", "s%=", "^=", "=", "s>>="];
        let op = ops[self.random.below(14) as usize];
        let w = if self.random.below(4) == 0 { 'w' } else { 'r' };
        let a = self.number();
        let line = match self.random.below(8) {
            0 => format!("r{a} = -r{a}"),
            1 => {
                format!("r{a} = {} r{a}", ["be16", "le32", "bswap64", "be32"][self.random.below(4) as usize])
            }
            2 => {
                let b = self.number();
                format!("r{a} = (s{})r{b}", [8, 16, 32][self.random.below(3) as usize])
            }
            3 | 4 => {
                let b = self.number();
                format!("{w}{a} {op} {w}{b}")
            }
            _ => {
                let n = [1, 2, 3, 7, 8, 15, 31, 63, -1, 255][self.random.below(10) as usize];
                format!("{w}{a} {op} {n}")
            }
        };
        self.line(&line);
    }

    /// A number is bounded: by a mask, by a comparison, or by both sides.
    fn bounded(&mut self, bound: u64, out: &str) -> u64 {
        let reg = self.number();
        let n = self.near(bound);
        let (low, by) = (self.random.below(3) as i64 - 1, [1, 2, 4, 8][self.random.below(4) as usize]);
        match self.random.below(7) {
            0 => self.line(&format!("r{reg} &= {}", bound.next_power_of_two().wrapping_sub(1))),
            1 => self.line(&format!("if r{reg} > {n} goto {out}")),
            2 => self.line(&format!("if r{reg} s> {n} goto {out}; if r{reg} s< {low} goto {out}")),
            3 => self.line(&format!("w{reg} = w{reg}; if w{reg} >= {n} goto {out}")),
            4 => self.line(&format!("r{reg} %= {}", n.max(1))),
            5 => {
                let other = self.number();
                self.line(&format!("r{other} = r{reg}; if r{other} > {n} goto {out}"));
            }
            _ => self.line(&format!("if r{reg} > {n} goto {out}; r{reg} &= -{by}")),
        }
        reg
    }

    fn stack(&mut self) {
        let (size, len) = self.size();
        let slot = 1 + self.random.below(64 / len);
        let off = (slot * len) as i64 + if self.random.below(60) == 0 { 1 } else { 0 };
        let reg = self.number();
        let line = match self.random.below(8) {
            0 => format!("*({size} *)(r10 - {off}) = {}", self.random.below(100)),
            1 | 2 => format!("*({size} *)(r10 - {off}) = r{reg}"),
            3 => format!("*(u64 *)(r10 - {}) = r6", slot.min(8) * 8),
            4 if self.random.below(3) == 0 => {
                format!("r1 = *(u64 *)(r10 - {}); r{reg} = *(u64 *)(r1 + 8)", slot.min(8) * 8)
            }
            _ => format!("r{reg} = *({size} *)(r10 - {off})"),
        };
        self.line(&line);
    }

    fn stack_by_number(&mut self) {
        let out = self.label();
        let reg = self.bounded(56, &out);
        let (size, len) = self.size();
        if self.random.below(10) != 0 {
            self.line(&format!("r{reg} &= -{len}"));
        }
        let off = 64 - len as i64 * self.random.below(3) as i64;
        let by = self.number();
        let line = if self.random.below(2) == 0 {
            format!("r1 = r10; r1 += r{reg}; r{by} = *({size} *)(r1 - {off})")
        } else {
            format!("r1 = r10; r1 += r{reg}; *({size} *)(r1 - {off}) = r{by}")
        };
        self.line(&line);
        self.line(&format!("{out}: r0 = 0"));
    }

    fn lookup(&mut self) {
        let (map, value) = [("hash", 8), ("array", 48), ("array", 48)][self.random.below(3) as usize];
        let out = self.label();
        let off = 8 * (1 + self.random.below(8));
        self.line(&format!("r2 = r10; r2 += -{off}; r1 = map[{map}]; call map_lookup_elem"));
        if self.random.below(40) != 0 {
            let line = match self.random.below(3) {
                0 => format!("r1 = r0; if r1 == 0 goto {out}"),
                1 => format!("*(u64 *)(r10 - 72) = r0; if r0 == 0 goto {out}; r0 = *(u64 *)(r10 - 72)"),
                _ => format!("if r0 == 0 goto {out}"),
            };
            self.line(&line);
        }
        let (size, len) = self.size();
        let at = self.near(value - len).max(0);
        let by = self.number();
        match self.random.below(5) {
            0 => self.line(&format!("*({size} *)(r0 + {at}) = r{by}")),
            1 => self.line(&format!("r{by} = *({size} *)(r0 + {at})")),
            2 => self.line(&format!("lock *(u64 *)(r0 + {}) += r{by}", at & !7)),
            _ => {
                let reg = self.bounded(value - len, &out);
                let extra = ["+ 0", "+ 0", "+ 0", "+ 1", "- 1"][self.random.below(5) as usize];
                self.line(&format!("r0 += r{reg}; r{by} = *({size} *)(r0 {extra})"));
            }
        }
        self.line(&format!("{out}: r0 = 0"));
    }

    fn record(&mut self) {
        let out = self.label();
        let size = 8 * (1 + self.random.below(3));
        self.line(&format!(
            "r1 = map[ring]; r2 = {size}; r3 = 0; call ringbuf_reserve; if r0 == 0 goto {out}"
        ));
        let at = self.near(size - 8).max(0);
        let by = self.number();
        self.line(&format!("*(u64 *)(r10 - 80) = r0; *(u64 *)(r0 + {at}) = r{by}"));
        if self.random.below(3) == 0 {
            let condition = self.condition();
            let end = if self.random.below(6) == 0 { out.clone() } else { self.label() };
            self.line(&format!("{condition} goto {end}"));
            self.arithmetic();
            if end != out {
                self.line(&format!("{end}: r0 = 0"));
            }
        }
        let done = if self.random.below(2) == 0 { "submit" } else { "discard" };
        self.line(&format!("r1 = *(u64 *)(r10 - 80); r2 = 0; call ringbuf_{done}"));
        if self.random.below(20) == 0 {
            self.line(&format!("r1 = *(u64 *)(r10 - 80); r2 = 0; call ringbuf_{done}"));
        }
        self.line(&format!("{out}: r0 = 0"));
    }

    fn read_memory(&mut self) {
        let out = self.label();
        if self.random.below(2) == 0 {
            let size = 1 + self.random.below(66);
            self.line(&format!("r1 = r10; r1 += -64; r2 = {size}; r3 = r7; call probe_read_kernel"));
        } else {
            let reg = self.bounded(64, &out);
            let helper = ["probe_read_kernel", "probe_read_kernel_str"][self.random.below(2) as usize];
            self.line(&format!("r1 = r10; r1 += -64; r2 = r{reg}; r3 = r7; call {helper}"));
            if self.random.below(2) == 0 {
                let at = self.near(64);
                self.line(&format!("if r0 s<= 0 goto {out}; r0 += r10; r1 = *(u8 *)(r0 - {at})"));
            }
        }
        self.line(&format!("{out}: r0 = 0"));
    }

    fn looped(&mut self, depth: u32) {
        let head = self.label();
        let reg = self.number();
        let count = 1 + self.random.below(9);
        self.line(&format!("r{reg} = 0"));
        self.line(&format!("{head}: r0 = 0"));
        if self.random.below(2) == 0 {
            let (size, len) = self.size();
            self.line(&format!(
                "r1 = r{reg}; r1 *= {len}; r1 += r10; *({size} *)(r1 - {}) = 0",
                (count * len).next_multiple_of(len)
            ));
        }
        for _ in 0..self.random.below(3) {
            self.statement(depth + 2);
        }
        self.line(&format!("r{reg} += 1; if r{reg} < {count} goto {head}"));
    }

    fn function(&mut self, depth: u32) {
        let name = format!("f{}", self.label());
        let out = core::mem::take(&mut self.text);
        self.line(&format!("{name}: r6 = r1; r7 = r2; r8 = r3; r9 = 1"));
        if self.random.below(2) == 0 {
            self.line("*(u64 *)(r10 - 8) = r7; *(u64 *)(r10 - 16) = 3");
        }
        for _ in 0..self.random.below(4) {
            self.statement(depth + 2);
        }
        let last = ["r0 = r8", "r0 = 0", "r0 = r7; r0 &= 15", "r0 = r6"][self.random.below(4) as usize];
        self.line(&format!("{last}; exit"));
        let function = core::mem::replace(&mut self.text, out);
        self.functions.push(function);
        let by = self.number();
        self.line(&format!("r1 = r6; r2 = r7; r3 = r8; call {name}; r{by} = r0"));
    }

    fn called_back(&mut self, depth: u32) {
        let name = format!("f{}", self.label());
        let out = core::mem::take(&mut self.text);
        // The data is the caller's stack at r10 - 64.
        let elements = self.random.below(4) == 0;
        let (data, number) = if elements { ("r4", "*(u32 *)(r3 + 4)") } else { ("r2", "r1") };
        self.line(&format!("{name}: r6 = {data}; r7 = {number}; r8 = *(u64 *)(r6 + 0); r9 = 2"));
        match self.random.below(6) {
            0 => self.line("r8 += 1; *(u64 *)(r6 + 0) = r8"),
            1 => self.line("if r8 > 6 goto +4; r1 = r8; r1 <<= 3; r1 += r6; *(u8 *)(r1 + 0) = 1; r8 = r8"),
            2 => self.line("r7 &= 7; r7 <<= 3; r7 += r6; *(u64 *)(r7 + 0) = r6"),
            3 => self.line("r1 = *(u64 *)(r6 + 8); *(u64 *)(r6 + 8) = r8; *(u64 *)(r6 + 0) = r1"),
            4 => self.line("r8 &= 7; r1 = r8; r1 += r6; r2 = *(u8 *)(r1 + 0); *(u64 *)(r6 + 0) = r2"),
            _ => self.line(
                "r1 = *(u64 *)(r6 + 8); r1 &= 56; r1 += r6; r8 = *(u64 *)(r1 + 0); *(u64 *)(r6 + 16) = r8",
            ),
        }
        if self.random.below(2) == 0 {
            self.statement(depth + 3);
        }
        let last = ["r0 = 0", "r0 = 0", "r0 = 1", "r0 = r8; r0 &= 1"][self.random.below(4) as usize];
        self.line(&format!("{last}; exit"));
        let function = core::mem::replace(&mut self.text, out);
        self.functions.push(function);
        if elements {
            self.line(&format!(
                "r1 = map[array]; r2 = code[{name}]; r3 = r10; r3 += -64; r4 = 0; call for_each_map_elem"
            ));
            return;
        }
        let count = ["r1 = 5", "r1 = 1", "r1 = r7; r1 &= 31"][self.random.below(3) as usize];
        self.line(&format!("{count}; r2 = code[{name}]; r3 = r10; r3 += -64; r4 = 0; call loop"));
        if self.random.below(2) == 0 {
            self.line("r9 = *(u64 *)(r10 - 64); if r9 > 7 goto +3; r1 = r10; r1 += r9; r9 = *(u8 *)(r1 - 64); r0 = 0");
        }
    }

    fn branch(&mut self, depth: u32) {
        let (other, end) = (self.label(), self.label());
        let condition = self.condition();
        self.line(&format!("{condition} goto {other}"));
        self.statement(depth + 1);
        if self.random.below(2) == 0 {
            self.line(&format!("goto {end}"));
            self.line(&format!("{other}: r0 = 0"));
            self.statement(depth + 1);
            self.line(&format!("{end}: r0 = 0"));
        } else {
            self.line(&format!("{other}: r0 = 0"));
        }
    }

    fn statement(&mut self, depth: u32) {
        if depth > 4 || self.lines > 120 {
            return self.arithmetic();
        }
        match self.random.below(22) {
            0..=4 => self.arithmetic(),
            5..=8 => self.branch(depth),
            9..=11 => self.stack(),
            12 | 13 => self.stack_by_number(),
            14..=16 => self.lookup(),
            17 => self.record(),
            18 => self.read_memory(),
            19 => self.looped(depth),
            20 => self.function(depth),
            _ => self.called_back(depth),
        }
    }
}
