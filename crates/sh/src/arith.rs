//! Evaluates `$((…))`: C's integer expressions over 64 bits that wrap around.
//!
//! By rising strength (those of one row are taken from the left, except `=` and `?:`):
//!
//! ```text
//!   = += -= *= /= %= &= |= ^= <<= >>=     x ? a : b     ||     &&     |     ^     &     == !=
//!   < <= > >=     << >>     + -     * / %     + - ! ~ (unary)     ( )  number  NAME
//! ```
//!
//! A number is decimal, `0x…` or `0…` (octal), up to 64 bits, so that a kernel address is one. A name that is
//! not set counts as 0. What `&&`, `||` and `?:` do not choose is parsed but not done. Recursion goes with
//! brackets and unary operators alone and ends at [`MAX_ARITH_NESTING`].

use alloc::{
    format,
    string::{String, ToString},
};

use crate::limits::MAX_ARITH_NESTING;

/// The variables of an expression.
pub(crate) trait Vars {
    /// The text of a variable.
    fn get(&self, name: &str) -> Option<String>;
    /// Sets a variable; an error has a message.
    fn set(&mut self, name: &str, value: String) -> Result<(), String>;
}

/// The value of an expression; an empty one is 0.
pub(crate) fn evaluate(text: &str, vars: &mut dyn Vars) -> Result<i64, String> {
    let mut eval = Eval { text, pos: 0, vars, depth: 0 };
    eval.blanks();
    if eval.rest().is_empty() {
        return Ok(0);
    }
    let value = eval.assignment(true)?;
    if eval.rest().is_empty() { Ok(value) } else { Err(eval.syntax()) }
}

/// A number as it is written in C.
pub(crate) fn number(text: &str) -> Option<i64> {
    let (digits, radix) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (text.get(2..)?, 16),
        [b'0', _, ..] => (text.get(1..)?, 8),
        _ => (text, 10),
    };
    if digits.starts_with('+') {
        return None;
    }
    u64::from_str_radix(digits, radix).ok().map(u64::cast_signed)
}

/// Binary operators by rising strength; in one row, what must be tried first stands first.
const BINARY: &[&[&str]] = &[
    &["||"],
    &["&&"],
    &["|"],
    &["^"],
    &["&"],
    &["==", "!="],
    &["<=", ">=", "<", ">"],
    &["<<", ">>"],
    &["+", "-"],
    &["*", "/", "%"],
];

/// Operators that also come with `=` behind them.
const ASSIGNING: &[&str] = &["+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>"];

struct Eval<'a> {
    text: &'a str,
    pos: usize,
    vars: &'a mut dyn Vars,
    depth: usize,
}

impl<'a> Eval<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.pos..).unwrap_or_default()
    }

    fn blanks(&mut self) {
        self.pos += self.rest().len() - self.rest().trim_start().len();
    }

    fn skip(&mut self, len: usize) {
        self.pos += len;
        self.blanks();
    }

    fn syntax(&self) -> String {
        format!("arithmetic expression: syntax error: \"{}\"", self.text)
    }

    fn name(&self) -> &'a str {
        let rest = self.rest();
        let len = rest.bytes().take_while(|&b| b == b'_' || b.is_ascii_alphanumeric()).count();
        if rest.starts_with(|c: char| c.is_ascii_digit()) { "" } else { rest.get(..len).unwrap_or_default() }
    }

    fn variable(&self, name: &str) -> Result<i64, String> {
        let Some(text) = self.vars.get(name) else { return Ok(0) };
        let trimmed = text.trim();
        let (negative, digits) = match trimmed.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, trimmed.strip_prefix('+').unwrap_or(trimmed)),
        };
        match number(digits) {
            Some(value) if negative => Ok(value.wrapping_neg()),
            Some(value) => Ok(value),
            None if trimmed.is_empty() => Ok(0),
            None => Err(format!("arithmetic expression: illegal number: {text}")),
        }
    }

    fn deeper(&mut self) -> Result<(), String> {
        self.depth += 1;
        if self.depth > MAX_ARITH_NESTING {
            return Err("arithmetic expression: nested too deeply".to_string());
        }
        Ok(())
    }

    /// `NAME = …`, or an expression without an assignment. `live` says whether it counts.
    fn assignment(&mut self, live: bool) -> Result<i64, String> {
        self.deeper()?;
        let start = self.pos;
        let name = self.name();
        if !name.is_empty() {
            self.skip(name.len());
            let rest = self.rest();
            let op = ASSIGNING
                .iter()
                .copied()
                .find(|op| rest.strip_prefix(op).is_some_and(|after| after.starts_with('=')));
            let plain = rest.starts_with('=') && !rest.starts_with("==");
            if op.is_some() || plain {
                self.skip(op.map_or(1, |op| op.len() + 1));
                let right = self.assignment(live)?;
                let mut value = right;
                if live {
                    if let Some(op) = op {
                        value = apply(op, self.variable(name)?, right, live)?;
                    }
                    self.vars.set(name, value.to_string())?;
                }
                self.depth -= 1;
                return Ok(value);
            }
            self.pos = start;
        }
        let value = self.conditional(live)?;
        self.depth -= 1;
        Ok(value)
    }

    fn conditional(&mut self, live: bool) -> Result<i64, String> {
        let condition = self.binary(live)?;
        if !self.rest().starts_with('?') {
            return Ok(condition);
        }
        self.skip(1);
        let yes = self.assignment(live && condition != 0)?;
        if !self.rest().starts_with(':') {
            return Err(self.syntax());
        }
        self.skip(1);
        self.deeper()?;
        let no = self.conditional(live && condition == 0)?;
        self.depth -= 1;
        Ok(if condition != 0 { yes } else { no })
    }

    /// Binary operators, by shifting and reducing over a small stack: one value may wait per strength.
    fn binary(&mut self, live: bool) -> Result<i64, String> {
        let mut waiting: [(i64, &str, usize, bool); BINARY.len()] = [(0, "", 0, live); BINARY.len()];
        let mut held = 0usize;
        let mut live_now = live;
        let mut value = self.unary(live_now)?;
        loop {
            let next = self.operator();
            let strength = next.map_or(0, |(_, strength)| strength);
            // What waits and binds at least as strongly is done first.
            while let Some(&(left, op, waits, was_live)) = held.checked_sub(1).and_then(|at| waiting.get(at))
            {
                if next.is_some() && waits < strength {
                    break;
                }
                value = apply(op, left, value, live_now)?;
                live_now = was_live;
                held -= 1;
            }
            let Some((op, strength)) = next else { return Ok(value) };
            self.skip(op.len());
            let Some(place) = waiting.get_mut(held) else { return Err(self.syntax()) };
            *place = (value, op, strength, live_now);
            held += 1;
            live_now &= !((op == "&&" && value == 0) || (op == "||" && value != 0));
            value = self.unary(live_now)?;
        }
    }

    /// The binary operator that comes next, and its strength.
    fn operator(&self) -> Option<(&'static str, usize)> {
        let rest = self.rest();
        // `<` is not the start of `<<`, nor `&` that of `&&`: the longest wins.
        let all =
            BINARY.iter().enumerate().flat_map(|(strength, row)| row.iter().map(move |op| (*op, strength)));
        all.filter(|(op, _)| rest.starts_with(op)).max_by_key(|(op, _)| op.len())
    }

    fn unary(&mut self, live: bool) -> Result<i64, String> {
        let rest = self.rest();
        let first = rest.chars().next();
        if let Some(op @ ('-' | '+' | '!' | '~')) = first {
            self.skip(1);
            self.deeper()?;
            let value = self.unary(live)?;
            self.depth -= 1;
            return Ok(match op {
                '-' => value.wrapping_neg(),
                '!' => i64::from(value == 0),
                '~' => !value,
                _ => value,
            });
        }
        if first == Some('(') {
            self.skip(1);
            let value = self.assignment(live)?;
            if !self.rest().starts_with(')') {
                return Err(self.syntax());
            }
            self.skip(1);
            return Ok(value);
        }
        let name = self.name();
        if !name.is_empty() {
            let value = if live { self.variable(name)? } else { 0 };
            self.skip(name.len());
            return Ok(value);
        }
        let len = rest.bytes().take_while(u8::is_ascii_alphanumeric).count();
        let value = rest.get(..len).and_then(number).ok_or_else(|| self.syntax())?;
        self.skip(len);
        Ok(value)
    }
}

/// One operation; what is not `live` must not fail.
fn apply(op: &str, left: i64, right: i64, live: bool) -> Result<i64, String> {
    let shift = u32::try_from(right & 63).unwrap_or(0);
    Ok(match op {
        "||" => i64::from(left != 0 || right != 0),
        "&&" => i64::from(left != 0 && right != 0),
        "|" => left | right,
        "^" => left ^ right,
        "&" => left & right,
        "==" => i64::from(left == right),
        "!=" => i64::from(left != right),
        "<=" => i64::from(left <= right),
        ">=" => i64::from(left >= right),
        "<" => i64::from(left < right),
        ">" => i64::from(left > right),
        "<<" => left.wrapping_shl(shift),
        ">>" => left.wrapping_shr(shift),
        "+" => left.wrapping_add(right),
        "-" => left.wrapping_sub(right),
        "*" => left.wrapping_mul(right),
        _ if !live => 0,
        _ if right == 0 => return Err("arithmetic expression: division by zero".to_string()),
        "/" => left.wrapping_div(right),
        _ => left.wrapping_rem(right),
    })
}

#[cfg(test)]
mod tests {
    use super::{Vars, evaluate};
    use alloc::{
        collections::BTreeMap,
        string::{String, ToString},
    };

    impl Vars for BTreeMap<String, String> {
        fn get(&self, name: &str) -> Option<String> {
            BTreeMap::get(self, name).cloned()
        }
        fn set(&mut self, name: &str, value: String) -> Result<(), String> {
            self.insert(name.to_string(), value);
            Ok(())
        }
    }

    #[test]
    fn values() {
        for (text, value) in [
            ("", 0),
            ("1 + 2*3", 7),
            ("(1+2)*3", 9),
            ("10-4-3", 3),
            ("2*3%4", 2),
            ("1<<4|1", 17),
            ("7 & 3 == 3", 1),
            ("-7/2", -3),
            ("- -5", 5),
            ("!0 + !5", 1),
            ("~0", -1),
            ("0x10 + 010", 24),
            ("0xffff800080000000", 0xffff_8000_8000_0000_u64.cast_signed()),
            ("1 ? 2 : 3 ? 4 : 5", 2),
            ("0 ? 2 : 0 ? 4 : 5", 5),
            ("0 && 1/0", 0),
            ("1 || 1/0", 1),
            ("1 || 1/0 || 2", 1),
            ("0 && 1/0 || 3", 1),
            ("1 ? 5 : 1/0", 5),
            ("x = 3, 0", -99),
            ("x = y = 4", 4),
            ("n + 1", 43),
            ("n += 2", 44),
            ("n <<= 1", 84),
            ("n == 42 && n != 41", 1),
            ("unset", 0),
            ("9223372036854775807 + 1", i64::MIN),
            ("1 < 2 < 1", 0),
            ("5 > 3 >= 1", 1),
        ] {
            let mut vars = BTreeMap::from([("n".to_string(), "42".to_string())]);
            match evaluate(text, &mut vars) {
                Ok(got) => assert_eq!(got, value, "{text}"),
                Err(_) => assert_eq!(value, -99, "{text}"),
            }
        }
    }

    #[test]
    fn errors() {
        let mut vars = BTreeMap::from([("bad".to_string(), "1x".to_string())]);
        for (text, part) in [
            ("1/0", "division by zero"),
            ("5 % 0", "division by zero"),
            ("1 +", "syntax error"),
            ("1 2", "syntax error"),
            ("(1", "syntax error"),
            ("1 ? 2", "syntax error"),
            ("08", "syntax error"),
            ("0x", "syntax error"),
            ("99999999999999999999", "syntax error"),
            ("bad + 1", "illegal number"),
            ("((((((((((((((((((((1))))))))))))))))))))", "nested too deeply"),
            ("-------------------------1", "nested too deeply"),
        ] {
            let error = evaluate(text, &mut vars).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn the_least_number_divides() {
        let mut vars = BTreeMap::from([("m".to_string(), "-9223372036854775808".to_string())]);
        assert_eq!(evaluate("m / -1", &mut vars), Ok(i64::MIN));
        assert_eq!(evaluate("m % -1", &mut vars), Ok(0));
    }
}
