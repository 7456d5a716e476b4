//! Vectors and numbers in the word: modified immediates and shifts.

use super::super::op::Op::{
    F, FloatAbc, ModBytes, ModImm, ShiftLeft, ShiftRight, UpperHalf, Vec, Vq, Vshift, VshiftWide,
};
use super::super::op::field::{D, N};
use super::super::operand::FpSize::{B as Byte, D as Double, H as Half, S as Single};
use super::super::operand::{Arrangement, FpSize};
use super::super::rules::{extends, shift_elements, shift_floats, shift_narrow};
use super::super::{Row, Section, row, section};

/// A shift to the right.
const fn right(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[Vshift(D), Vshift(N), ShiftRight]).when(shift_elements)
}

/// A shift to the left.
const fn left(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[Vshift(D), Vshift(N), ShiftLeft]).when(shift_elements)
}

/// A shift to the right of wide elements that gives narrow ones.
const fn narrow(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[UpperHalf, Vshift(D), VshiftWide(N), ShiftRight]).when(shift_narrow)
}

/// A conversion with fraction bits.
const fn fixed(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[Vshift(D), Vshift(N), ShiftRight]).when(shift_floats)
}

const FULL_D: Arrangement = Arrangement { lanes: 2, size: FpSize::D };

pub(in crate::decode) const SECTIONS: &[Section] = &[
    section(
        "Advanced SIMD modified immediate",
        "0 x x 0111100000 xxx xxxx x 1 xxxxx xxxxx",
        &[
            row("0 q 0 0111100000 abc 0xx0 0 1 defgh ddddd", "movi", &[Vq(Single, D), ModImm]),
            row("0 q 0 0111100000 abc 0xx1 0 1 defgh ddddd", "orr", &[Vq(Single, D), ModImm]),
            row("0 q 0 0111100000 abc 10x0 0 1 defgh ddddd", "movi", &[Vq(Half, D), ModImm]),
            row("0 q 0 0111100000 abc 10x1 0 1 defgh ddddd", "orr", &[Vq(Half, D), ModImm]),
            row("0 q 0 0111100000 abc 110x 0 1 defgh ddddd", "movi", &[Vq(Single, D), ModImm]),
            row("0 q 0 0111100000 abc 1110 0 1 defgh ddddd", "movi", &[Vq(Byte, D), ModImm]),
            row("0 q 0 0111100000 abc 1111 0 1 defgh ddddd", "fmov", &[Vq(Single, D), FloatAbc]),
            row("0 q 0 0111100000 abc 1111 1 1 defgh ddddd", "fmov", &[Vq(Half, D), FloatAbc]),
            row("0 q 1 0111100000 abc 0xx0 0 1 defgh ddddd", "mvni", &[Vq(Single, D), ModImm]),
            row("0 q 1 0111100000 abc 0xx1 0 1 defgh ddddd", "bic", &[Vq(Single, D), ModImm]),
            row("0 q 1 0111100000 abc 10x0 0 1 defgh ddddd", "mvni", &[Vq(Half, D), ModImm]),
            row("0 q 1 0111100000 abc 10x1 0 1 defgh ddddd", "bic", &[Vq(Half, D), ModImm]),
            row("0 q 1 0111100000 abc 110x 0 1 defgh ddddd", "mvni", &[Vq(Single, D), ModImm]),
            row("0 0 1 0111100000 abc 1110 0 1 defgh ddddd", "movi", &[F(Double, D), ModBytes]),
            row("0 1 1 0111100000 abc 1110 0 1 defgh ddddd", "movi", &[Vec(FULL_D, D), ModBytes]),
            row("0 1 1 0111100000 abc 1111 0 1 defgh ddddd", "fmov", &[Vec(FULL_D, D), FloatAbc]),
        ],
    ),
    section(
        "Advanced SIMD shift by immediate",
        "0 x x 011110 xxxx xxx xxxxx 1 xxxxx xxxxx",
        &[
            right("0 q 0 011110 hhhh bbb 00000 1 nnnnn ddddd", "sshr"),
            right("0 q 0 011110 hhhh bbb 00010 1 nnnnn ddddd", "ssra"),
            right("0 q 0 011110 hhhh bbb 00100 1 nnnnn ddddd", "srshr"),
            right("0 q 0 011110 hhhh bbb 00110 1 nnnnn ddddd", "srsra"),
            left("0 q 0 011110 hhhh bbb 01010 1 nnnnn ddddd", "shl"),
            left("0 q 0 011110 hhhh bbb 01110 1 nnnnn ddddd", "sqshl"),
            narrow("0 q 0 011110 hhhh bbb 10000 1 nnnnn ddddd", "shrn"),
            narrow("0 q 0 011110 hhhh bbb 10001 1 nnnnn ddddd", "rshrn"),
            narrow("0 q 0 011110 hhhh bbb 10010 1 nnnnn ddddd", "sqshrn"),
            narrow("0 q 0 011110 hhhh bbb 10011 1 nnnnn ddddd", "sqrshrn"),
            row(
                "0 q 0 011110 hhhh bbb 10100 1 nnnnn ddddd",
                "sshll",
                &[UpperHalf, VshiftWide(D), Vshift(N), ShiftLeft],
            )
            .when(shift_narrow),
            fixed("0 q 0 011110 hhhh bbb 11100 1 nnnnn ddddd", "scvtf"),
            fixed("0 q 0 011110 hhhh bbb 11111 1 nnnnn ddddd", "fcvtzs"),
            right("0 q 1 011110 hhhh bbb 00000 1 nnnnn ddddd", "ushr"),
            right("0 q 1 011110 hhhh bbb 00010 1 nnnnn ddddd", "usra"),
            right("0 q 1 011110 hhhh bbb 00100 1 nnnnn ddddd", "urshr"),
            right("0 q 1 011110 hhhh bbb 00110 1 nnnnn ddddd", "ursra"),
            right("0 q 1 011110 hhhh bbb 01000 1 nnnnn ddddd", "sri"),
            left("0 q 1 011110 hhhh bbb 01010 1 nnnnn ddddd", "sli"),
            left("0 q 1 011110 hhhh bbb 01100 1 nnnnn ddddd", "sqshlu"),
            left("0 q 1 011110 hhhh bbb 01110 1 nnnnn ddddd", "uqshl"),
            narrow("0 q 1 011110 hhhh bbb 10000 1 nnnnn ddddd", "sqshrun"),
            narrow("0 q 1 011110 hhhh bbb 10001 1 nnnnn ddddd", "sqrshrun"),
            narrow("0 q 1 011110 hhhh bbb 10010 1 nnnnn ddddd", "uqshrn"),
            narrow("0 q 1 011110 hhhh bbb 10011 1 nnnnn ddddd", "uqrshrn"),
            row(
                "0 q 1 011110 hhhh bbb 10100 1 nnnnn ddddd",
                "ushll",
                &[UpperHalf, VshiftWide(D), Vshift(N), ShiftLeft],
            )
            .when(shift_narrow),
            fixed("0 q 1 011110 hhhh bbb 11100 1 nnnnn ddddd", "ucvtf"),
            fixed("0 q 1 011110 hhhh bbb 11111 1 nnnnn ddddd", "fcvtzu"),
        ],
    )
    .aliases(&[
        row("0 q 0 011110 hhhh 000 10100 1 nnnnn ddddd", "sxtl", &[UpperHalf, VshiftWide(D), Vshift(N)])
            .when(extends),
        row("0 q 1 011110 hhhh 000 10100 1 nnnnn ddddd", "uxtl", &[UpperHalf, VshiftWide(D), Vshift(N)])
            .when(extends),
    ]),
];
