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
//! not set counts as 0. What `&&`, `||` and `?:` do not choose is parsed but not done.
//!
//! Two stacks in the heap, one of values and one of what waits for a value (Dijkstra's shunting yard); what is
//! not as strong as what comes next is done first. So nothing here calls itself, and an expression of a
//! thousand brackets costs no stack:
//!
//! ```text
//!   2 + 3 * 4         values: 2        waiting: +
//!       ▲             values: 2 3      waiting: +          * is stronger than +: + goes on waiting
//!           ▲         values: 2 3 4    waiting: + *        the end: * gives 12, + gives 14
//! ```

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use crate::limits::MAX_ARITH_WAITING;

/// The variables of an expression.
pub(crate) trait Vars {
    /// The text of a variable.
    fn get(&self, name: &str) -> Option<String>;
    /// Sets a variable; an error has a message.
    fn set(&mut self, name: &str, value: String) -> Result<(), String>;
}

/// The value of an expression; an empty one is 0.
pub(crate) fn evaluate(text: &str, vars: &mut dyn Vars) -> Result<i64, String> {
    Eval { text, pos: 0, vars, values: Vec::new(), waiting: Vec::new(), live: true }.run()
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

/// Binary operators by rising strength.
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

/// Operators that also come with `=` behind them; the empty one is the plain assignment.
const ASSIGNING: &[&str] = &["<<", ">>", "+", "-", "*", "/", "%", "&", "|", "^", ""];

/// A value; as long as it is a name, it can be assigned to.
#[derive(Clone, Copy)]
enum Value<'a> {
    Number(i64),
    Name(&'a str),
}

/// What waits for the value to its right. `live` is what counted before it, where it changes that.
#[derive(Clone, Copy)]
enum Waiting<'a> {
    Open,
    Unary(char),
    Binary {
        op: &'static str,
        strength: usize,
        left: i64,
        live: bool,
    },
    Assign {
        op: &'static str,
        name: &'a str,
    },
    /// `c ?`
    Question {
        condition: bool,
        live: bool,
    },
    /// `c ? yes :`
    Colon {
        condition: bool,
        yes: i64,
        live: bool,
    },
}

struct Eval<'a> {
    text: &'a str,
    pos: usize,
    vars: &'a mut dyn Vars,
    values: Vec<Value<'a>>,
    waiting: Vec<Waiting<'a>>,
    /// Does what is being evaluated count?
    live: bool,
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

    fn run(mut self) -> Result<i64, String> {
        self.blanks();
        if self.rest().is_empty() {
            return Ok(0);
        }
        loop {
            self.operand()?;
            // After a value: operators, or brackets that close, until another value is needed.
            loop {
                if self.rest().is_empty() {
                    self.settle(0)?;
                    return match (self.waiting.is_empty(), self.pop()?) {
                        (true, value) => Ok(value),
                        (false, _) => Err(self.syntax()),
                    };
                }
                if !self.operator()? {
                    break;
                }
            }
            if self.waiting.len() > MAX_ARITH_WAITING {
                return Err("arithmetic expression: nested too deeply".to_string());
            }
        }
    }

    /// Unary operators and brackets, and then a number or a name.
    fn operand(&mut self) -> Result<(), String> {
        loop {
            let rest = self.rest();
            match rest.chars().next() {
                Some(op @ ('-' | '+' | '!' | '~')) => self.waiting.push(Waiting::Unary(op)),
                Some('(') => self.waiting.push(Waiting::Open),
                Some(c) => {
                    let word = rest.bytes().take_while(|&b| b == b'_' || b.is_ascii_alphanumeric()).count();
                    let text = rest.get(..word).unwrap_or_default();
                    let value = match number(text) {
                        _ if word == 0 => None,
                        Some(number) => Some(Value::Number(number)),
                        None => Some(Value::Name(text)).filter(|_| !c.is_ascii_digit()),
                    };
                    self.values.push(value.ok_or_else(|| self.syntax())?);
                    self.skip(word);
                    return Ok(());
                }
                None => return Err(self.syntax()),
            }
            self.skip(1);
            if self.waiting.len() > MAX_ARITH_WAITING {
                return Err("arithmetic expression: nested too deeply".to_string());
            }
        }
    }

    /// One operator after a value; true if the next thing is again an operator, as after `)`.
    fn operator(&mut self) -> Result<bool, String> {
        let rest = self.rest();
        if let Some(op) = ASSIGNING.iter().copied().find(|op| {
            rest.strip_prefix(op).is_some_and(|after| after.starts_with('=') && !after.starts_with("=="))
        }) {
            let Some(Value::Name(name)) = self.values.pop() else { return Err(self.syntax()) };
            if matches!(self.waiting.last(), Some(Waiting::Binary { .. } | Waiting::Unary(_))) {
                return Err(self.syntax());
            }
            self.waiting.push(Waiting::Assign { op, name });
            self.skip(op.len() + 1);
            return Ok(false);
        }
        match rest.chars().next() {
            Some(')') => {
                self.settle(0)?;
                match self.waiting.pop() {
                    Some(Waiting::Open) => {}
                    _ => return Err(self.syntax()),
                }
                // What was in brackets cannot be assigned to.
                let value = self.pop()?;
                self.values.push(Value::Number(value));
                self.skip(1);
                Ok(true)
            }
            Some('?') => {
                self.settle(1)?;
                let condition = self.pop()? != 0;
                self.waiting.push(Waiting::Question { condition, live: self.live });
                self.live &= condition;
                self.skip(1);
                Ok(false)
            }
            Some(':') => {
                self.settle(0)?;
                let Some(Waiting::Question { condition, live }) = self.waiting.pop() else {
                    return Err(self.syntax());
                };
                let yes = self.pop()?;
                self.waiting.push(Waiting::Colon { condition, yes, live });
                self.live = live && !condition;
                self.skip(1);
                Ok(false)
            }
            _ => {
                let all = BINARY.iter().enumerate();
                let all = all.flat_map(|(row, ops)| ops.iter().map(move |op| (*op, row + 1)));
                let found = all.filter(|(op, _)| rest.starts_with(op)).max_by_key(|(op, _)| op.len());
                let Some((op, strength)) = found else { return Err(self.syntax()) };
                self.settle(strength)?;
                let left = self.pop()?;
                self.waiting.push(Waiting::Binary { op, strength, left, live: self.live });
                self.live &= !((op == "&&" && left == 0) || (op == "||" && left != 0));
                self.skip(op.len());
                Ok(false)
            }
        }
    }

    /// Does what waits and binds at least as strongly as `strength`; with 0 everything up to a bracket or a
    /// question mark.
    fn settle(&mut self, strength: usize) -> Result<(), String> {
        while let Some(&waiting) = self.waiting.last() {
            let value = match waiting {
                Waiting::Open | Waiting::Question { .. } => return Ok(()),
                Waiting::Assign { .. } | Waiting::Colon { .. } if strength > 0 => return Ok(()),
                Waiting::Binary { strength: waits, .. } if waits < strength => return Ok(()),
                Waiting::Unary(op) => {
                    let value = self.pop()?;
                    match op {
                        '-' => value.wrapping_neg(),
                        '!' => i64::from(value == 0),
                        '~' => !value,
                        _ => value,
                    }
                }
                Waiting::Binary { op, left, live, .. } => {
                    let right = self.pop()?;
                    let value = apply(op, left, right, self.live)?;
                    self.live = live;
                    value
                }
                Waiting::Assign { op, name } => {
                    let right = self.pop()?;
                    match self.live {
                        false => right,
                        true => {
                            let value = if op.is_empty() {
                                right
                            } else {
                                apply(op, self.variable(name)?, right, true)?
                            };
                            self.vars.set(name, value.to_string())?;
                            value
                        }
                    }
                }
                Waiting::Colon { condition, yes, live } => {
                    let no = self.pop()?;
                    self.live = live;
                    if condition { yes } else { no }
                }
            };
            self.waiting.pop();
            self.values.push(Value::Number(value));
        }
        Ok(())
    }

    /// Takes the last value, and reads it if it is a name.
    fn pop(&mut self) -> Result<i64, String> {
        match self.values.pop() {
            Some(Value::Number(value)) => Ok(value),
            Some(Value::Name(name)) if self.live => self.variable(name),
            Some(Value::Name(_)) => Ok(0),
            None => Err(self.syntax()),
        }
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
            ("((((((((((((((((((((((((1))))))))))))))))))))))))", 1),
            ("-(-(-1))", -1),
            ("0 ? x = 1 : 2", 2),
            ("(0 && (z = 5)) + z", 0),
            ("1 + 2 == 3 && 4 > 3 ? 10 : 20", 10),
            ("y = 1 ? 2 : 3", 2),
            ("1 ? 0 ? 1 : 2 : 3", 2),
            ("!n == 0", 1),
            ("2 - -2", 4),
            ("~1 & 3", 2),
            ("a = b = 3, 1", -99),
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
            ("1)", "syntax error"),
            ("()", "syntax error"),
            ("1 : 2", "syntax error"),
            ("1 + bad2 = 3", "syntax error"),
            ("(n) = 3", "syntax error"),
            ("3 = 3", "syntax error"),
            ("1 ? 2 : ", "syntax error"),
            ("@", "syntax error"),
            (&"(".repeat(1000), "nested too deeply"),
            (&"-".repeat(1000), "nested too deeply"),
            (&"x=".repeat(1000), "nested too deeply"),
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
