//! Scalar floating point (C4.1.96). `tt` is ftype: single, double, –, half.

use super::op::Op::{Cond, F, FcvtTo, FixedBits, Float8, FloatZero, Ftype, Imm, R, UpperD, W, X};
use super::op::field::{A, D, M, N};
use super::operand::FpSize::{D as Double, H as Half, S as Single};
use super::rules::{converts, fixed_point};
use super::{Row, Section, row, section};

/// Single, double, half.
const ALL: u8 = 0b1011;
const SINGLE_DOUBLE: u8 = 0b0011;

/// One source.
const fn one(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[Ftype(D), Ftype(N)]).size(ALL)
}

/// Two sources.
const fn two(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[Ftype(D), Ftype(N), Ftype(M)]).size(ALL)
}

/// Three sources.
const fn three(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[Ftype(D), Ftype(N), Ftype(M), Ftype(A)]).size(ALL)
}

/// From a float to a general register.
const fn to_int(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[R(D), Ftype(N)]).size(ALL)
}

/// From a general register to a float.
const fn to_float(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[Ftype(D), R(N)]).size(ALL)
}

pub(super) const SECTIONS: &[Section] = &[
    section(
        "Conversion between floating-point and fixed-point",
        "x 0 0 11110 xx 0 xx xxx xxxxxx xxxxx xxxxx",
        &[
            row("s 0 0 11110 tt 0 00 010 ffffff nnnnn ddddd", "scvtf", &[Ftype(D), R(N), FixedBits])
                .when(fixed_point),
            row("s 0 0 11110 tt 0 00 011 ffffff nnnnn ddddd", "ucvtf", &[Ftype(D), R(N), FixedBits])
                .when(fixed_point),
            row("s 0 0 11110 tt 0 11 000 ffffff nnnnn ddddd", "fcvtzs", &[R(D), Ftype(N), FixedBits])
                .when(fixed_point),
            row("s 0 0 11110 tt 0 11 001 ffffff nnnnn ddddd", "fcvtzu", &[R(D), Ftype(N), FixedBits])
                .when(fixed_point),
        ],
    ),
    section(
        "Conversion between floating-point and integer",
        "x 0 0 11110 xx 1 xx xxx 000000 xxxxx xxxxx",
        &[
            to_int("s 0 0 11110 tt 1 00 000 000000 nnnnn ddddd", "fcvtns"),
            to_int("s 0 0 11110 tt 1 00 001 000000 nnnnn ddddd", "fcvtnu"),
            to_float("s 0 0 11110 tt 1 00 010 000000 nnnnn ddddd", "scvtf"),
            to_float("s 0 0 11110 tt 1 00 011 000000 nnnnn ddddd", "ucvtf"),
            to_int("s 0 0 11110 tt 1 00 100 000000 nnnnn ddddd", "fcvtas"),
            to_int("s 0 0 11110 tt 1 00 101 000000 nnnnn ddddd", "fcvtau"),
            to_int("s 0 0 11110 tt 1 01 000 000000 nnnnn ddddd", "fcvtps"),
            to_int("s 0 0 11110 tt 1 01 001 000000 nnnnn ddddd", "fcvtpu"),
            to_int("s 0 0 11110 tt 1 10 000 000000 nnnnn ddddd", "fcvtms"),
            to_int("s 0 0 11110 tt 1 10 001 000000 nnnnn ddddd", "fcvtmu"),
            to_int("s 0 0 11110 tt 1 11 000 000000 nnnnn ddddd", "fcvtzs"),
            to_int("s 0 0 11110 tt 1 11 001 000000 nnnnn ddddd", "fcvtzu"),
            row("0 0 0 11110 01 1 11 110 000000 nnnnn ddddd", "fjcvtzs", &[W(D), F(Double, N)]),
            // Moves of bits: the widths must agree, halves go both ways.
            row("0 0 0 11110 00 1 00 110 000000 nnnnn ddddd", "fmov", &[W(D), F(Single, N)]),
            row("0 0 0 11110 00 1 00 111 000000 nnnnn ddddd", "fmov", &[F(Single, D), W(N)]),
            row("1 0 0 11110 01 1 00 110 000000 nnnnn ddddd", "fmov", &[X(D), F(Double, N)]),
            row("1 0 0 11110 01 1 00 111 000000 nnnnn ddddd", "fmov", &[F(Double, D), X(N)]),
            row("s 0 0 11110 11 1 00 110 000000 nnnnn ddddd", "fmov", &[R(D), F(Half, N)]),
            row("s 0 0 11110 11 1 00 111 000000 nnnnn ddddd", "fmov", &[F(Half, D), R(N)]),
            row("1 0 0 11110 10 1 01 110 000000 nnnnn ddddd", "fmov", &[X(D), UpperD(N)]),
            row("1 0 0 11110 10 1 01 111 000000 nnnnn ddddd", "fmov", &[UpperD(D), X(N)]),
        ],
    ),
    section(
        "Floating-point data-processing (1 source)",
        "0 0 0 11110 xx 1 xxxxxx 10000 xxxxx xxxxx",
        &[
            one("0 0 0 11110 tt 1 000000 10000 nnnnn ddddd", "fmov"),
            one("0 0 0 11110 tt 1 000001 10000 nnnnn ddddd", "fabs"),
            one("0 0 0 11110 tt 1 000010 10000 nnnnn ddddd", "fneg"),
            one("0 0 0 11110 tt 1 000011 10000 nnnnn ddddd", "fsqrt"),
            row("0 0 0 11110 tt 1 0001oo 10000 nnnnn ddddd", "fcvt", &[FcvtTo, Ftype(N)]).when(converts),
            row("0 0 0 11110 01 1 000110 10000 nnnnn ddddd", "bfcvt", &[F(Half, D), F(Single, N)]),
            one("0 0 0 11110 tt 1 001000 10000 nnnnn ddddd", "frintn"),
            one("0 0 0 11110 tt 1 001001 10000 nnnnn ddddd", "frintp"),
            one("0 0 0 11110 tt 1 001010 10000 nnnnn ddddd", "frintm"),
            one("0 0 0 11110 tt 1 001011 10000 nnnnn ddddd", "frintz"),
            one("0 0 0 11110 tt 1 001100 10000 nnnnn ddddd", "frinta"),
            one("0 0 0 11110 tt 1 001110 10000 nnnnn ddddd", "frintx"),
            one("0 0 0 11110 tt 1 001111 10000 nnnnn ddddd", "frinti"),
            one("0 0 0 11110 tt 1 010000 10000 nnnnn ddddd", "frint32z").size(SINGLE_DOUBLE),
            one("0 0 0 11110 tt 1 010001 10000 nnnnn ddddd", "frint32x").size(SINGLE_DOUBLE),
            one("0 0 0 11110 tt 1 010010 10000 nnnnn ddddd", "frint64z").size(SINGLE_DOUBLE),
            one("0 0 0 11110 tt 1 010011 10000 nnnnn ddddd", "frint64x").size(SINGLE_DOUBLE),
        ],
    ),
    section(
        "Floating-point compare",
        "0 0 0 11110 xx 1 xxxxx 001000 xxxxx xxxxx",
        &[
            row("0 0 0 11110 tt 1 mmmmm 001000 nnnnn 00000", "fcmp", &[Ftype(N), Ftype(M)]).size(ALL),
            row("0 0 0 11110 tt 1 00000 001000 nnnnn 01000", "fcmp", &[Ftype(N), FloatZero]).size(ALL),
            row("0 0 0 11110 tt 1 mmmmm 001000 nnnnn 10000", "fcmpe", &[Ftype(N), Ftype(M)]).size(ALL),
            row("0 0 0 11110 tt 1 00000 001000 nnnnn 11000", "fcmpe", &[Ftype(N), FloatZero]).size(ALL),
        ],
    ),
    section(
        "Floating-point immediate",
        "0 0 0 11110 xx 1 xxxxxxxx 100 xxxxx xxxxx",
        &[row("0 0 0 11110 tt 1 iiiiiiii 100 00000 ddddd", "fmov", &[Ftype(D), Float8(13)]).size(ALL)],
    ),
    section(
        "Floating-point conditional compare",
        "0 0 0 11110 xx 1 xxxxx xxxx 01 xxxxx x xxxx",
        &[
            row(
                "0 0 0 11110 tt 1 mmmmm cccc 01 nnnnn 0 ffff",
                "fccmp",
                &[Ftype(N), Ftype(M), Imm(0, 4), Cond(12)],
            )
            .size(ALL),
            row(
                "0 0 0 11110 tt 1 mmmmm cccc 01 nnnnn 1 ffff",
                "fccmpe",
                &[Ftype(N), Ftype(M), Imm(0, 4), Cond(12)],
            )
            .size(ALL),
        ],
    ),
    section(
        "Floating-point data-processing (2 source)",
        "0 0 0 11110 xx 1 xxxxx xxxx 10 xxxxx xxxxx",
        &[
            two("0 0 0 11110 tt 1 mmmmm 0000 10 nnnnn ddddd", "fmul"),
            two("0 0 0 11110 tt 1 mmmmm 0001 10 nnnnn ddddd", "fdiv"),
            two("0 0 0 11110 tt 1 mmmmm 0010 10 nnnnn ddddd", "fadd"),
            two("0 0 0 11110 tt 1 mmmmm 0011 10 nnnnn ddddd", "fsub"),
            two("0 0 0 11110 tt 1 mmmmm 0100 10 nnnnn ddddd", "fmax"),
            two("0 0 0 11110 tt 1 mmmmm 0101 10 nnnnn ddddd", "fmin"),
            two("0 0 0 11110 tt 1 mmmmm 0110 10 nnnnn ddddd", "fmaxnm"),
            two("0 0 0 11110 tt 1 mmmmm 0111 10 nnnnn ddddd", "fminnm"),
            two("0 0 0 11110 tt 1 mmmmm 1000 10 nnnnn ddddd", "fnmul"),
        ],
    ),
    section(
        "Floating-point conditional select",
        "0 0 0 11110 xx 1 xxxxx xxxx 11 xxxxx xxxxx",
        &[row(
            "0 0 0 11110 tt 1 mmmmm cccc 11 nnnnn ddddd",
            "fcsel",
            &[Ftype(D), Ftype(N), Ftype(M), Cond(12)],
        )
        .size(ALL)],
    ),
    section(
        "Floating-point data-processing (3 source)",
        "0 0 0 11111 xx x xxxxx x xxxxx xxxxx xxxxx",
        &[
            three("0 0 0 11111 tt 0 mmmmm 0 aaaaa nnnnn ddddd", "fmadd"),
            three("0 0 0 11111 tt 0 mmmmm 1 aaaaa nnnnn ddddd", "fmsub"),
            three("0 0 0 11111 tt 1 mmmmm 0 aaaaa nnnnn ddddd", "fnmadd"),
            three("0 0 0 11111 tt 1 mmmmm 1 aaaaa nnnnn ddddd", "fnmsub"),
        ],
    ),
];
