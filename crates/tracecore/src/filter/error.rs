//! What can be wrong with an expression, and where.

use crate::errno::Errno;
use core::fmt;

macro_rules! kinds {
    ($($kind:ident = $text:literal;)*) => {
        /// What is wrong with an expression.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorKind {
            $(#[doc = $text] $kind,)*
        }

        impl ErrorKind {
            /// The sentence for `error_log` and for the filter file.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$kind => $text,)* }
            }
        }
    };
}

kinds! {
    Error = "Error";
    InvalidOperator = "Invalid operator";
    TooManyOpen = "Too many '('";
    TooManyClose = "Too few '('";
    MissingQuote = "Missing matching quote";
    OperandTooLong = "Operand too long";
    ExpectText = "Expecting string field";
    ExpectNumber = "Expecting numeric field";
    IllegalOperation = "Illegal operation for field type";
    NoField = "Field not found";
    IllegalNumber = "Illegal integer value";
    NoEventTookIt = "Couldn't find or set field in one of a subsystem's events";
    TooManyTerms = "Too many terms in predicate expression";
    NoFilter = "No filter found";
    InvalidValue = "Invalid value (did you forget quotes)?";
    NoFunction = "Function not found";
}

/// Why an expression was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilterError {
    /// What the write returns. Linux's numbers, which are curious for unbalanced expressions.
    pub errno: Errno,
    /// What is wrong.
    pub kind: ErrorKind,
    /// Where the caret stands in `error_log`; inside a predicate, Linux counts from one.
    pub column: usize,
}

impl FilterError {
    /// Invalid, for this reason, at this place.
    pub const fn at(kind: ErrorKind, column: usize) -> Self {
        Self { errno: Errno::EINVAL, kind, column }
    }

    /// The same blame with another error number.
    pub const fn with_errno(self, errno: Errno) -> Self {
        Self { errno, ..self }
    }

    /// What the filter file shows below the expression: a caret (which it never puts behind the end) and the
    /// sentence.
    pub fn explain(&self, expression: &str, out: &mut dyn fmt::Write) -> fmt::Result {
        match self.kind {
            ErrorKind::Error => writeln!(out, "{expression}\nError: (0)\n"),
            kind => {
                let blanks = self.column.min(expression.len());
                writeln!(out, "{expression}\n{:blanks$}^\nparse_error: {}\n", "", kind.text())
            }
        }
    }
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.text())
    }
}

impl core::error::Error for FilterError {}
