//! Path names, before any file system has seen them.
//!
//! A path is cut at its slashes; what lies between two of them is a name. Runs of slashes count as one,
//! and a slash at the end says "this must be a directory":
//!
//! ```text
//!   "/proc//self/../1/"   absolute, names: proc  self  ..  1, wants a directory
//!   "a/b"                 relative, names: a  b
//!   ""                    names nothing: ENOENT
//! ```
//!
//! `.` and `..` are names here; only the walk (`walk.rs`), which knows symbolic links and mounts, can say
//! what they mean. The limits are POSIX's `PATH_MAX` and `NAME_MAX` with Linux's values, and this file is
//! pure: it is also compiled and tested on the host.

use tracecore::errno::Errno;

/// A path has fewer bytes than this; Linux's value, which counts a closing NUL.
pub(crate) const PATH_MAX: usize = 4096;
/// One name in a directory has at most this many bytes.
pub(crate) const NAME_MAX: usize = 255;

/// A path that has passed the checks on its form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Path<'a> {
    text: &'a str,
}

impl<'a> Path<'a> {
    /// Takes `text` for a path: not empty (ENOENT), not too long as a whole or in one name
    /// (ENAMETOOLONG), no NUL inside (EINVAL).
    pub(crate) fn new(text: &'a str) -> Result<Self, Errno> {
        if text.is_empty() {
            return Err(Errno::ENOENT);
        }
        if text.len() >= PATH_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        if text.bytes().any(|b| b == 0) {
            return Err(Errno::EINVAL);
        }
        let path = Self { text };
        if path.names().any(|n| n.len() > NAME_MAX) {
            return Err(Errno::ENAMETOOLONG);
        }
        Ok(path)
    }

    /// As it was written.
    pub(crate) fn text(self) -> &'a str {
        self.text
    }

    /// Does it start at the root?
    pub(crate) fn is_absolute(self) -> bool {
        self.text.starts_with('/')
    }

    /// Does it end in a slash (and so names a directory or nothing)?
    pub(crate) fn wants_dir(self) -> bool {
        self.text.ends_with('/')
    }

    /// The names, from left to right.
    pub(crate) fn names(self) -> impl DoubleEndedIterator<Item = &'a str> {
        self.text.split('/').filter(|n| !n.is_empty())
    }

    /// The last name and the path of the directory it is looked up in (`None`: the one the walk starts
    /// from). The root alone has no last name.
    pub(crate) fn split_last(self) -> Option<(Option<Path<'a>>, &'a str)> {
        let body = self.text.trim_end_matches('/');
        if body.is_empty() {
            return None;
        }
        Some(match body.rfind('/') {
            None => (None, body),
            Some(at) => (Some(Path { text: &body[..at + 1] }), &body[at + 1..]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{NAME_MAX, PATH_MAX, Path};
    use std::{string::String, vec::Vec};
    use tracecore::errno::Errno;

    fn names(text: &str) -> Vec<&str> {
        Path::new(text).map(|p| p.names().collect()).unwrap_or_default()
    }

    #[test]
    fn names_lie_between_slashes() {
        assert_eq!(names("/proc//self/../1/"), ["proc", "self", "..", "1"]);
        assert_eq!(names("a/b"), ["a", "b"]);
        assert_eq!(names("///"), [""; 0]);
        assert!(Path::new("/a").is_ok_and(Path::is_absolute));
        assert!(!Path::new("a").is_ok_and(Path::is_absolute));
        assert!(Path::new("a/").is_ok_and(Path::wants_dir));
    }

    #[test]
    fn limits_have_their_errno() {
        assert_eq!(Path::new(""), Err(Errno::ENOENT));
        assert_eq!(Path::new("a\0b"), Err(Errno::EINVAL));
        let long_name: String = "n".repeat(NAME_MAX + 1);
        assert!(Path::new(&long_name[1..]).is_ok());
        assert_eq!(Path::new(&long_name), Err(Errno::ENAMETOOLONG));
        let long: String = "a/".repeat(PATH_MAX / 2);
        assert_eq!(Path::new(&long), Err(Errno::ENAMETOOLONG));
        assert!(Path::new(&long[1..]).is_ok());
    }

    #[test]
    fn the_last_name_is_split_off() {
        let split = |t| Path::new(t).ok().and_then(Path::split_last).map(|(d, n)| (d.map(Path::text), n));
        assert_eq!(split("/"), None);
        assert_eq!(split("a"), Some((None, "a")));
        assert_eq!(split("/a"), Some((Some("/"), "a")));
        assert_eq!(split("a/b//"), Some((Some("a/"), "b")));
        assert_eq!(split("/x/y/z"), Some((Some("/x/y/"), "z")));
    }
}
