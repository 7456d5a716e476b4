//! The text of words against LLVM's, aliases included.
//!
//! `words.txt` is a sample of what LLVM's disassembler printed, one word for each shape of operands, and of words
//! that it refuses. Both texts are brought to one form first: lower case, numbers in decimal modulo 2^64, so that
//! `#-4` as a label and the address it leads to from 0 are the same.

use a64::decode::{Group, decode};
use a64::{Class, Insn, Reason, classify, disasm};

/// One form for both dialects.
fn canonical(text: &str) -> String {
    let text = text.to_lowercase();
    let mut out = String::new();
    let mut rest = text.as_str();
    let mut before = ' ';
    while let Some(c) = rest.chars().next() {
        let starts = !before.is_alphanumeric() && before != '.' && before != '_';
        if starts && let Some((value, length)) = number(rest) {
            if out.ends_with('#') {
                out.pop();
            }
            out += &value.to_string();
            rest = &rest[length..];
            before = '0';
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
            before = c;
        }
    }
    out
}

/// A whole number at the start of `text`, and its length. `16b` is a shape and `1.0` a float: not whole numbers.
fn number(text: &str) -> Option<(u64, usize)> {
    let negative = text.starts_with('-');
    let unsigned = &text[usize::from(negative)..];
    let (radix, digits) = match unsigned.strip_prefix("0x") {
        Some(digits) => (16, digits),
        None => (10, unsigned),
    };
    let length = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
    let value = u64::from_str_radix(&digits[..length], radix).ok()?;
    if digits[length..].starts_with(|c: char| c.is_alphanumeric() || c == '.') {
        return None;
    }
    let value = if negative { value.wrapping_neg() } else { value };
    Some((value, text.len() - digits.len() + length))
}

#[test]
fn the_sample() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in include_str!("words.txt").lines().filter(|line| !line.starts_with('#')) {
        let (word, text) = line.split_once(' ').unwrap();
        let insn = Insn(u32::from_str_radix(word, 16).unwrap());
        count += 1;
        if text == "-" {
            // Scalable and matrix extensions are not decoded here, and were not enabled there.
            let refused = decode(insn).is_none();
            let classified = matches!(Group::of(insn), Group::Sve | Group::Sme)
                || matches!(
                    classify(insn),
                    Class::Reject(Reason::Unallocated | Reason::CopyTriple | Reason::AuthPc)
                );
            if !refused || !classified {
                wrong.push(format!("{line} | {} {:?}", disasm::at(insn, 0), classify(insn)));
            }
            continue;
        }
        let ours = disasm::at(insn, 0).to_string();
        if canonical(&ours) != canonical(text) {
            wrong.push(format!("{line} | {ours}"));
        }
    }
    assert!(count > 3000, "{count} words only");
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn numbers_are_brought_to_one_form() {
    assert_eq!(canonical("add	X0, sp, #0x10"), "add	x0, sp, 16");
    assert_eq!(canonical("ldr x1, [x2, #-8]!"), canonical("ldr x1, [x2, #0xfffffffffffffff8]!"));
    assert_eq!(canonical("fmov v0.4s, #1.00000000"), "fmov v0.4s, #1.00000000");
    assert_eq!(canonical("movi v31.2d, #0000000000000000"), "movi v31.2d, 0");
}
