//! The error numbers that every file, parser and system call of this system answers with.
//!
//! They are Linux's (`asm-generic/errno.h`), so that a script which tests for `ENOENT`, a program built for
//! Linux and a reader who knows `errno(3)` are never surprised. A number has three faces:
//!
//! ```text
//!   Errno::ENOENT ── code() ──▶ 2                             what a system call returns (negated)
//!                 ── name() ──▶ "ENOENT"                      what the kernel log and `strace` print
//!                 ── strerror() ──▶ "No such file or directory"   what a shell prints
//! ```
//!
//! [`Errno`] is a number and not an `enum`: a number from outside that has no name here is still carried
//! faithfully, and an `Option<Errno>` or `Result<(), Errno>` stays two bytes wide.

use core::fmt;
use core::num::NonZeroU16;

/// The largest number that a system call may return as an error (`MAX_ERRNO`): a result in
/// `-4095..=-1` is an error, anything else is a value.
pub const MAX_ERRNO: u16 = 4095;

/// One Linux error number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Errno(NonZeroU16);

/// Declares the numbers, and the table from which names and texts are found again.
macro_rules! errnos {
    ($($name:ident = $code:literal, $text:literal;)*) => {
        impl Errno {
            $(#[doc = $text] pub const $name: Self = Self::known($code);)*
        }

        /// `(number, name, text)`, by rising number.
        const TABLE: &[(u16, &str, &str)] = &[$(($code, stringify!($name), $text),)*];
    };
}

errnos! {
    EPERM = 1, "Operation not permitted";
    ENOENT = 2, "No such file or directory";
    ESRCH = 3, "No such process";
    EINTR = 4, "Interrupted system call";
    EIO = 5, "Input/output error";
    ENXIO = 6, "No such device or address";
    E2BIG = 7, "Argument list too long";
    ENOEXEC = 8, "Exec format error";
    EBADF = 9, "Bad file descriptor";
    ECHILD = 10, "No child processes";
    EAGAIN = 11, "Resource temporarily unavailable";
    ENOMEM = 12, "Cannot allocate memory";
    EACCES = 13, "Permission denied";
    EFAULT = 14, "Bad address";
    ENOTBLK = 15, "Block device required";
    EBUSY = 16, "Device or resource busy";
    EEXIST = 17, "File exists";
    EXDEV = 18, "Invalid cross-device link";
    ENODEV = 19, "No such device";
    ENOTDIR = 20, "Not a directory";
    EISDIR = 21, "Is a directory";
    EINVAL = 22, "Invalid argument";
    ENFILE = 23, "Too many open files in system";
    EMFILE = 24, "Too many open files";
    ENOTTY = 25, "Inappropriate ioctl for device";
    ETXTBSY = 26, "Text file busy";
    EFBIG = 27, "File too large";
    ENOSPC = 28, "No space left on device";
    ESPIPE = 29, "Illegal seek";
    EROFS = 30, "Read-only file system";
    EMLINK = 31, "Too many links";
    EPIPE = 32, "Broken pipe";
    EDOM = 33, "Numerical argument out of domain";
    ERANGE = 34, "Numerical result out of range";
    EDEADLK = 35, "Resource deadlock avoided";
    ENAMETOOLONG = 36, "File name too long";
    ENOLCK = 37, "No locks available";
    ENOSYS = 38, "Function not implemented";
    ENOTEMPTY = 39, "Directory not empty";
    ELOOP = 40, "Too many levels of symbolic links";
    ENOMSG = 42, "No message of desired type";
    EIDRM = 43, "Identifier removed";
    ECHRNG = 44, "Channel number out of range";
    EL2NSYNC = 45, "Level 2 not synchronized";
    EL3HLT = 46, "Level 3 halted";
    EL3RST = 47, "Level 3 reset";
    ELNRNG = 48, "Link number out of range";
    EUNATCH = 49, "Protocol driver not attached";
    ENOCSI = 50, "No CSI structure available";
    EL2HLT = 51, "Level 2 halted";
    EBADE = 52, "Invalid exchange";
    EBADR = 53, "Invalid request descriptor";
    EXFULL = 54, "Exchange full";
    ENOANO = 55, "No anode";
    EBADRQC = 56, "Invalid request code";
    EBADSLT = 57, "Invalid slot";
    EBFONT = 59, "Bad font file format";
    ENOSTR = 60, "Device not a stream";
    ENODATA = 61, "No data available";
    ETIME = 62, "Timer expired";
    ENOSR = 63, "Out of streams resources";
    ENONET = 64, "Machine is not on the network";
    ENOPKG = 65, "Package not installed";
    EREMOTE = 66, "Object is remote";
    ENOLINK = 67, "Link has been severed";
    EADV = 68, "Advertise error";
    ESRMNT = 69, "Srmount error";
    ECOMM = 70, "Communication error on send";
    EPROTO = 71, "Protocol error";
    EMULTIHOP = 72, "Multihop attempted";
    EDOTDOT = 73, "RFS specific error";
    EBADMSG = 74, "Bad message";
    EOVERFLOW = 75, "Value too large for defined data type";
    ENOTUNIQ = 76, "Name not unique on network";
    EBADFD = 77, "File descriptor in bad state";
    EREMCHG = 78, "Remote address changed";
    ELIBACC = 79, "Can not access a needed shared library";
    ELIBBAD = 80, "Accessing a corrupted shared library";
    ELIBSCN = 81, ".lib section in a.out corrupted";
    ELIBMAX = 82, "Attempting to link in too many shared libraries";
    ELIBEXEC = 83, "Cannot exec a shared library directly";
    EILSEQ = 84, "Invalid or incomplete multibyte or wide character";
    ERESTART = 85, "Interrupted system call should be restarted";
    ESTRPIPE = 86, "Streams pipe error";
    EUSERS = 87, "Too many users";
    ENOTSOCK = 88, "Socket operation on non-socket";
    EDESTADDRREQ = 89, "Destination address required";
    EMSGSIZE = 90, "Message too long";
    EPROTOTYPE = 91, "Protocol wrong type for socket";
    ENOPROTOOPT = 92, "Protocol not available";
    EPROTONOSUPPORT = 93, "Protocol not supported";
    ESOCKTNOSUPPORT = 94, "Socket type not supported";
    EOPNOTSUPP = 95, "Operation not supported";
    EPFNOSUPPORT = 96, "Protocol family not supported";
    EAFNOSUPPORT = 97, "Address family not supported by protocol";
    EADDRINUSE = 98, "Address already in use";
    EADDRNOTAVAIL = 99, "Cannot assign requested address";
    ENETDOWN = 100, "Network is down";
    ENETUNREACH = 101, "Network is unreachable";
    ENETRESET = 102, "Network dropped connection on reset";
    ECONNABORTED = 103, "Software caused connection abort";
    ECONNRESET = 104, "Connection reset by peer";
    ENOBUFS = 105, "No buffer space available";
    EISCONN = 106, "Transport endpoint is already connected";
    ENOTCONN = 107, "Transport endpoint is not connected";
    ESHUTDOWN = 108, "Cannot send after transport endpoint shutdown";
    ETOOMANYREFS = 109, "Too many references: cannot splice";
    ETIMEDOUT = 110, "Connection timed out";
    ECONNREFUSED = 111, "Connection refused";
    EHOSTDOWN = 112, "Host is down";
    EHOSTUNREACH = 113, "No route to host";
    EALREADY = 114, "Operation already in progress";
    EINPROGRESS = 115, "Operation now in progress";
    ESTALE = 116, "Stale file handle";
    EUCLEAN = 117, "Structure needs cleaning";
    ENOTNAM = 118, "Not a XENIX named type file";
    ENAVAIL = 119, "No XENIX semaphores available";
    EISNAM = 120, "Is a named type file";
    EREMOTEIO = 121, "Remote I/O error";
    EDQUOT = 122, "Disk quota exceeded";
    ENOMEDIUM = 123, "No medium found";
    EMEDIUMTYPE = 124, "Wrong medium type";
    ECANCELED = 125, "Operation canceled";
    ENOKEY = 126, "Required key not available";
    EKEYEXPIRED = 127, "Key has expired";
    EKEYREVOKED = 128, "Key has been revoked";
    EKEYREJECTED = 129, "Key was rejected by service";
    EOWNERDEAD = 130, "Owner died";
    ENOTRECOVERABLE = 131, "State not recoverable";
    ERFKILL = 132, "Operation not possible due to RF-kill";
    EHWPOISON = 133, "Memory page has hardware error";
}

impl Errno {
    /// The same number under its other name.
    pub const EWOULDBLOCK: Self = Self::EAGAIN;
    /// The same number under its other name.
    pub const EDEADLOCK: Self = Self::EDEADLK;
    /// The same number under its other name.
    pub const ENOTSUP: Self = Self::EOPNOTSUPP;

    /// A number of the table above; zero is caught when the constant is evaluated, at compile time.
    const fn known(code: u16) -> Self {
        match NonZeroU16::new(code) {
            Some(code) => Self(code),
            None => panic!("an error number is never zero"),
        }
    }

    /// The error with this number, if it can be one (`1..=MAX_ERRNO`).
    pub const fn from_code(code: i32) -> Option<Self> {
        if code < 1 || code > MAX_ERRNO as i32 {
            return None;
        }
        match NonZeroU16::new(code as u16) {
            Some(code) => Some(Self(code)),
            None => None,
        }
    }

    /// Splits what a system call returned: `-4095..=-1` is an error, all else a value.
    pub const fn from_syscall(result: isize) -> Result<usize, Self> {
        if result < 0
            && result >= -(MAX_ERRNO as isize)
            && let Some(errno) = Self::from_code(-result as i32)
        {
            return Err(errno);
        }
        Ok(result as usize)
    }

    /// The positive number.
    pub const fn code(self) -> i32 {
        self.0.get() as i32
    }

    /// What a system call returns for this error: the negated number.
    pub const fn to_syscall(self) -> isize {
        -(self.0.get() as isize)
    }

    /// The symbolic name (`"ENOENT"`), or `"E?"` for a number that has none.
    pub fn name(self) -> &'static str {
        self.row().map_or("E?", |row| row.1)
    }

    /// The sentence that a shell prints (`"No such file or directory"`).
    pub fn strerror(self) -> &'static str {
        self.row().map_or("Unknown error", |row| row.2)
    }

    /// The error with this symbolic name.
    pub fn from_name(name: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.1 == name).and_then(|row| Self::from_code(i32::from(row.0)))
    }

    fn row(self) -> Option<&'static (u16, &'static str, &'static str)> {
        let at = TABLE.binary_search_by_key(&self.0.get(), |row| row.0).ok()?;
        TABLE.get(at)
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.strerror())
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name(), self.code())
    }
}

impl core::error::Error for Errno {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn the_table_rises_so_that_it_can_be_searched() {
        assert!(TABLE.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn every_number_finds_its_name_again() {
        for &(code, name, text) in TABLE {
            let errno = Errno::from_code(i32::from(code)).expect("in range");
            assert_eq!((errno.name(), errno.strerror()), (name, text));
            assert_eq!(Errno::from_name(name), Some(errno));
        }
    }

    #[test]
    fn numbers_are_those_of_linux() {
        let some = [
            (Errno::EPERM, 1),
            (Errno::ENOENT, 2),
            (Errno::EAGAIN, 11),
            (Errno::EEXIST, 17),
            (Errno::EINVAL, 22),
            (Errno::EDEADLK, 35),
            (Errno::ENOSYS, 38),
            (Errno::EILSEQ, 84),
            (Errno::EOPNOTSUPP, 95),
            (Errno::ETIMEDOUT, 110),
            (Errno::EHWPOISON, 133),
        ];
        for (errno, code) in some {
            assert_eq!(errno.code(), code);
        }
        assert_eq!(Errno::ENOENT.to_string(), "No such file or directory");
        assert_eq!(std::format!("{:?}", Errno::EBUSY), "EBUSY(16)");
    }

    #[test]
    fn a_number_from_outside_is_an_error_only_in_range() {
        assert_eq!(Errno::from_code(0), None);
        assert_eq!(Errno::from_code(-2), None);
        assert_eq!(Errno::from_code(4096), None);
        assert_eq!(Errno::from_code(4095).map(Errno::name), Some("E?"));
        assert_eq!(Errno::from_syscall(-2), Err(Errno::ENOENT));
        assert_eq!(Errno::from_syscall(-4096), Ok((-4096_isize) as usize));
        assert_eq!(Errno::from_syscall(7), Ok(7));
        assert_eq!(Errno::from_syscall(Errno::ENOENT.to_syscall()), Err(Errno::ENOENT));
    }
}
