//! Targets as they are written: functions, instructions, lists and patterns of functions.
//!
//! | written | means |
//! |---|---|
//! | `work_add` | the function |
//! | `work_add+8`, `0xffff800080093e08` | an instruction |
//! | `work_*` | each function whose name matches |
//! | `work_add,work_fib` | these |

use alloc::format;
use alloc::vec::Vec;

use tracecore::errno::Errno;

use super::Refused;
use crate::ftrace::fprobe::{by_glob, is_glob};
use crate::ftrace::{SiteSet, site_of};
use crate::ksyms;

/// An instruction.
pub(super) fn instruction(text: &str) -> Result<usize, Refused> {
    let number = |text: &str| match text.strip_prefix("0x") {
        Some(digits) => usize::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    if text.is_empty() {
        return Err(Refused::new(Errno::EINVAL, "attach to what? the section does not say"));
    }
    if let Some(symbol) = ksyms::by_name(text) {
        return Ok(symbol.start as usize);
    }
    let (name, offset) = match text.rsplit_once('+') {
        Some((name, offset)) => (name, number(offset)),
        None => (text, Some(0)),
    };
    let offset =
        offset.ok_or_else(|| Refused::new(Errno::EINVAL, format!("`{text}`: the offset is no number")))?;
    match (ksyms::by_name(name), number(name)) {
        (Some(symbol), _) if (offset as u64) < symbol.size => Ok(symbol.start as usize + offset),
        (Some(_), _) => Err(Refused::new(Errno::EINVAL, format!("`{text}`: beyond the function's end"))),
        (None, Some(address)) => Ok(address + offset),
        (None, None) => Err(Refused::new(Errno::ENOENT, format!("there is no function `{name}`"))),
    }
}

/// Functions, and a cookie for each if the list has them.
pub(super) fn functions(text: &str, cookies: &[u64]) -> Result<(SiteSet, Vec<(u64, u64)>), Refused> {
    let names: Vec<&str> = text.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    if names.is_empty() {
        return Err(Refused::new(Errno::EINVAL, "attach to what? the section does not say"));
    }
    let by_name = cookies.len() > 1;
    if by_name && cookies.len() != names.len() {
        let why = format!("{} functions and {} cookies", names.len(), cookies.len());
        return Err(Refused::new(Errno::EINVAL, why));
    }
    let (mut all, mut with_cookies) = (SiteSet::none(), Vec::new());
    for (nth, name) in names.iter().enumerate() {
        let found = by_glob(name, None);
        if found.is_empty() {
            let known = ksyms::by_name(name).is_some_and(|symbol| site_of(symbol.start as usize).is_none());
            return Err(match known {
                true => Refused::new(Errno::EINVAL, format!("`{name}` has no entry that can be traced")),
                false => Refused::new(Errno::ENOENT, format!("no function is called `{name}`")),
            });
        }
        if by_name {
            if is_glob(name) {
                let why = format!("`{name}`: cookies are given to functions one by one");
                return Err(Refused::new(Errno::EINVAL, why));
            }
            let cookie = cookies.get(nth).copied().unwrap_or(0);
            with_cookies.extend(found.iter().map(|site| (site.function as u64, cookie)));
        }
        all = all.union(&found);
    }
    with_cookies.sort_unstable();
    Ok((all, with_cookies))
}
