//! Three vectors of the same shape.

use super::super::op::Op::{HalfOfHalves, Rotate90, RotateAdd, V, Vec, Vq, Vsz};
use super::super::op::field::{D, M, N};
use super::super::operand::FpSize::{B as Byte, H as Half, S as Single};
use super::super::operand::{Arrangement, FpSize};
use super::super::rules::{doubles_full, rn_is_rm};
use super::super::{Row, Section, row, section};
use super::{ANY, B, BHS, HS};

/// An integer operation.
const fn int(picture: &str, name: &'static str, shapes: u8) -> Row {
    row(picture, name, &[V(D), V(N), V(M)]).size_q(shapes)
}

/// A float operation, single or double.
const fn float(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[Vsz(D), Vsz(N), Vsz(M)]).when(doubles_full)
}

/// A float operation on halves.
const fn half(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[Vq(Half, D), Vq(Half, N), Vq(Half, M)])
}

/// A bitwise operation.
const fn bits(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[Vq(Byte, D), Vq(Byte, N), Vq(Byte, M)])
}

/// Products of halves added to singles: only one half of the sources is read.
const fn half_to_single(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[Vq(Single, D), HalfOfHalves(N), HalfOfHalves(M)])
}

const FULL_S: Arrangement = Arrangement { lanes: 4, size: FpSize::S };
const FULL_B: Arrangement = Arrangement { lanes: 16, size: FpSize::B };
const FULL_H: Arrangement = Arrangement { lanes: 8, size: FpSize::H };

/// A product of matrices of bytes.
const fn matrix(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[Vec(FULL_S, D), Vec(FULL_B, N), Vec(FULL_B, M)])
}

/// A dot product of bytes.
const fn dot(picture: &str, name: &'static str) -> Row {
    row(picture, name, &[Vq(Single, D), Vq(Byte, N), Vq(Byte, M)])
}

pub(in crate::decode) const SECTIONS: &[Section] = &[
    section(
        "Advanced SIMD three same",
        "0 x x 01110 xx 1 xxxxx xxxxx 1 xxxxx xxxxx",
        &[
            int("0 q 0 01110 ss 1 mmmmm 00000 1 nnnnn ddddd", "shadd", BHS),
            int("0 q 0 01110 ss 1 mmmmm 00001 1 nnnnn ddddd", "sqadd", ANY),
            int("0 q 0 01110 ss 1 mmmmm 00010 1 nnnnn ddddd", "srhadd", BHS),
            bits("0 q 0 01110 00 1 mmmmm 00011 1 nnnnn ddddd", "and"),
            bits("0 q 0 01110 01 1 mmmmm 00011 1 nnnnn ddddd", "bic"),
            bits("0 q 0 01110 10 1 mmmmm 00011 1 nnnnn ddddd", "orr"),
            bits("0 q 0 01110 11 1 mmmmm 00011 1 nnnnn ddddd", "orn"),
            int("0 q 0 01110 ss 1 mmmmm 00100 1 nnnnn ddddd", "shsub", BHS),
            int("0 q 0 01110 ss 1 mmmmm 00101 1 nnnnn ddddd", "sqsub", ANY),
            int("0 q 0 01110 ss 1 mmmmm 00110 1 nnnnn ddddd", "cmgt", ANY),
            int("0 q 0 01110 ss 1 mmmmm 00111 1 nnnnn ddddd", "cmge", ANY),
            int("0 q 0 01110 ss 1 mmmmm 01000 1 nnnnn ddddd", "sshl", ANY),
            int("0 q 0 01110 ss 1 mmmmm 01001 1 nnnnn ddddd", "sqshl", ANY),
            int("0 q 0 01110 ss 1 mmmmm 01010 1 nnnnn ddddd", "srshl", ANY),
            int("0 q 0 01110 ss 1 mmmmm 01011 1 nnnnn ddddd", "sqrshl", ANY),
            int("0 q 0 01110 ss 1 mmmmm 01100 1 nnnnn ddddd", "smax", BHS),
            int("0 q 0 01110 ss 1 mmmmm 01101 1 nnnnn ddddd", "smin", BHS),
            int("0 q 0 01110 ss 1 mmmmm 01110 1 nnnnn ddddd", "sabd", BHS),
            int("0 q 0 01110 ss 1 mmmmm 01111 1 nnnnn ddddd", "saba", BHS),
            int("0 q 0 01110 ss 1 mmmmm 10000 1 nnnnn ddddd", "add", ANY),
            int("0 q 0 01110 ss 1 mmmmm 10001 1 nnnnn ddddd", "cmtst", ANY),
            int("0 q 0 01110 ss 1 mmmmm 10010 1 nnnnn ddddd", "mla", BHS),
            int("0 q 0 01110 ss 1 mmmmm 10011 1 nnnnn ddddd", "mul", BHS),
            int("0 q 0 01110 ss 1 mmmmm 10100 1 nnnnn ddddd", "smaxp", BHS),
            int("0 q 0 01110 ss 1 mmmmm 10101 1 nnnnn ddddd", "sminp", BHS),
            int("0 q 0 01110 ss 1 mmmmm 10110 1 nnnnn ddddd", "sqdmulh", HS),
            int("0 q 0 01110 ss 1 mmmmm 10111 1 nnnnn ddddd", "addp", ANY),
            float("0 q 0 01110 0z 1 mmmmm 11000 1 nnnnn ddddd", "fmaxnm"),
            float("0 q 0 01110 0z 1 mmmmm 11001 1 nnnnn ddddd", "fmla"),
            float("0 q 0 01110 0z 1 mmmmm 11010 1 nnnnn ddddd", "fadd"),
            float("0 q 0 01110 0z 1 mmmmm 11011 1 nnnnn ddddd", "fmulx"),
            float("0 q 0 01110 0z 1 mmmmm 11100 1 nnnnn ddddd", "fcmeq"),
            half_to_single("0 q 0 01110 00 1 mmmmm 11101 1 nnnnn ddddd", "fmlal"),
            float("0 q 0 01110 0z 1 mmmmm 11110 1 nnnnn ddddd", "fmax"),
            float("0 q 0 01110 0z 1 mmmmm 11111 1 nnnnn ddddd", "frecps"),
            float("0 q 0 01110 1z 1 mmmmm 11000 1 nnnnn ddddd", "fminnm"),
            float("0 q 0 01110 1z 1 mmmmm 11001 1 nnnnn ddddd", "fmls"),
            float("0 q 0 01110 1z 1 mmmmm 11010 1 nnnnn ddddd", "fsub"),
            half_to_single("0 q 0 01110 10 1 mmmmm 11101 1 nnnnn ddddd", "fmlsl"),
            float("0 q 0 01110 1z 1 mmmmm 11110 1 nnnnn ddddd", "fmin"),
            float("0 q 0 01110 1z 1 mmmmm 11111 1 nnnnn ddddd", "frsqrts"),
            int("0 q 1 01110 ss 1 mmmmm 00000 1 nnnnn ddddd", "uhadd", BHS),
            int("0 q 1 01110 ss 1 mmmmm 00001 1 nnnnn ddddd", "uqadd", ANY),
            int("0 q 1 01110 ss 1 mmmmm 00010 1 nnnnn ddddd", "urhadd", BHS),
            bits("0 q 1 01110 00 1 mmmmm 00011 1 nnnnn ddddd", "eor"),
            bits("0 q 1 01110 01 1 mmmmm 00011 1 nnnnn ddddd", "bsl"),
            bits("0 q 1 01110 10 1 mmmmm 00011 1 nnnnn ddddd", "bit"),
            bits("0 q 1 01110 11 1 mmmmm 00011 1 nnnnn ddddd", "bif"),
            int("0 q 1 01110 ss 1 mmmmm 00100 1 nnnnn ddddd", "uhsub", BHS),
            int("0 q 1 01110 ss 1 mmmmm 00101 1 nnnnn ddddd", "uqsub", ANY),
            int("0 q 1 01110 ss 1 mmmmm 00110 1 nnnnn ddddd", "cmhi", ANY),
            int("0 q 1 01110 ss 1 mmmmm 00111 1 nnnnn ddddd", "cmhs", ANY),
            int("0 q 1 01110 ss 1 mmmmm 01000 1 nnnnn ddddd", "ushl", ANY),
            int("0 q 1 01110 ss 1 mmmmm 01001 1 nnnnn ddddd", "uqshl", ANY),
            int("0 q 1 01110 ss 1 mmmmm 01010 1 nnnnn ddddd", "urshl", ANY),
            int("0 q 1 01110 ss 1 mmmmm 01011 1 nnnnn ddddd", "uqrshl", ANY),
            int("0 q 1 01110 ss 1 mmmmm 01100 1 nnnnn ddddd", "umax", BHS),
            int("0 q 1 01110 ss 1 mmmmm 01101 1 nnnnn ddddd", "umin", BHS),
            int("0 q 1 01110 ss 1 mmmmm 01110 1 nnnnn ddddd", "uabd", BHS),
            int("0 q 1 01110 ss 1 mmmmm 01111 1 nnnnn ddddd", "uaba", BHS),
            int("0 q 1 01110 ss 1 mmmmm 10000 1 nnnnn ddddd", "sub", ANY),
            int("0 q 1 01110 ss 1 mmmmm 10001 1 nnnnn ddddd", "cmeq", ANY),
            int("0 q 1 01110 ss 1 mmmmm 10010 1 nnnnn ddddd", "mls", BHS),
            int("0 q 1 01110 ss 1 mmmmm 10011 1 nnnnn ddddd", "pmul", B),
            int("0 q 1 01110 ss 1 mmmmm 10100 1 nnnnn ddddd", "umaxp", BHS),
            int("0 q 1 01110 ss 1 mmmmm 10101 1 nnnnn ddddd", "uminp", BHS),
            int("0 q 1 01110 ss 1 mmmmm 10110 1 nnnnn ddddd", "sqrdmulh", HS),
            float("0 q 1 01110 0z 1 mmmmm 11000 1 nnnnn ddddd", "fmaxnmp"),
            half_to_single("0 q 1 01110 00 1 mmmmm 11001 1 nnnnn ddddd", "fmlal2"),
            float("0 q 1 01110 0z 1 mmmmm 11010 1 nnnnn ddddd", "faddp"),
            float("0 q 1 01110 0z 1 mmmmm 11011 1 nnnnn ddddd", "fmul"),
            float("0 q 1 01110 0z 1 mmmmm 11100 1 nnnnn ddddd", "fcmge"),
            float("0 q 1 01110 0z 1 mmmmm 11101 1 nnnnn ddddd", "facge"),
            float("0 q 1 01110 0z 1 mmmmm 11110 1 nnnnn ddddd", "fmaxp"),
            float("0 q 1 01110 0z 1 mmmmm 11111 1 nnnnn ddddd", "fdiv"),
            float("0 q 1 01110 1z 1 mmmmm 11000 1 nnnnn ddddd", "fminnmp"),
            half_to_single("0 q 1 01110 10 1 mmmmm 11001 1 nnnnn ddddd", "fmlsl2"),
            float("0 q 1 01110 1z 1 mmmmm 11010 1 nnnnn ddddd", "fabd"),
            float("0 q 1 01110 1z 1 mmmmm 11100 1 nnnnn ddddd", "fcmgt"),
            float("0 q 1 01110 1z 1 mmmmm 11101 1 nnnnn ddddd", "facgt"),
            float("0 q 1 01110 1z 1 mmmmm 11110 1 nnnnn ddddd", "fminp"),
        ],
    )
    .aliases(&[
        row("0 q 0 01110 10 1 mmmmm 00011 1 nnnnn ddddd", "mov", &[Vq(Byte, D), Vq(Byte, N)]).when(rn_is_rm)
    ]),
    section(
        "Advanced SIMD three same (FP16)",
        "0 x x 01110 x10 xxxxx 00 xxx 1 xxxxx xxxxx",
        &[
            half("0 q 0 01110 010 mmmmm 00 000 1 nnnnn ddddd", "fmaxnm"),
            half("0 q 0 01110 010 mmmmm 00 001 1 nnnnn ddddd", "fmla"),
            half("0 q 0 01110 010 mmmmm 00 010 1 nnnnn ddddd", "fadd"),
            half("0 q 0 01110 010 mmmmm 00 011 1 nnnnn ddddd", "fmulx"),
            half("0 q 0 01110 010 mmmmm 00 100 1 nnnnn ddddd", "fcmeq"),
            half("0 q 0 01110 010 mmmmm 00 110 1 nnnnn ddddd", "fmax"),
            half("0 q 0 01110 010 mmmmm 00 111 1 nnnnn ddddd", "frecps"),
            half("0 q 0 01110 110 mmmmm 00 000 1 nnnnn ddddd", "fminnm"),
            half("0 q 0 01110 110 mmmmm 00 001 1 nnnnn ddddd", "fmls"),
            half("0 q 0 01110 110 mmmmm 00 010 1 nnnnn ddddd", "fsub"),
            half("0 q 0 01110 110 mmmmm 00 110 1 nnnnn ddddd", "fmin"),
            half("0 q 0 01110 110 mmmmm 00 111 1 nnnnn ddddd", "frsqrts"),
            half("0 q 1 01110 010 mmmmm 00 000 1 nnnnn ddddd", "fmaxnmp"),
            half("0 q 1 01110 010 mmmmm 00 010 1 nnnnn ddddd", "faddp"),
            half("0 q 1 01110 010 mmmmm 00 011 1 nnnnn ddddd", "fmul"),
            half("0 q 1 01110 010 mmmmm 00 100 1 nnnnn ddddd", "fcmge"),
            half("0 q 1 01110 010 mmmmm 00 101 1 nnnnn ddddd", "facge"),
            half("0 q 1 01110 010 mmmmm 00 110 1 nnnnn ddddd", "fmaxp"),
            half("0 q 1 01110 010 mmmmm 00 111 1 nnnnn ddddd", "fdiv"),
            half("0 q 1 01110 110 mmmmm 00 000 1 nnnnn ddddd", "fminnmp"),
            half("0 q 1 01110 110 mmmmm 00 010 1 nnnnn ddddd", "fabd"),
            half("0 q 1 01110 110 mmmmm 00 100 1 nnnnn ddddd", "fcmgt"),
            half("0 q 1 01110 110 mmmmm 00 101 1 nnnnn ddddd", "facgt"),
            half("0 q 1 01110 110 mmmmm 00 110 1 nnnnn ddddd", "fminp"),
        ],
    ),
    section(
        "Advanced SIMD three-register extension",
        "0 x x 01110 xx 0 xxxxx 1 xxxx 1 xxxxx xxxxx",
        &[
            int("0 q 1 01110 ss 0 mmmmm 1 0000 1 nnnnn ddddd", "sqrdmlah", HS),
            int("0 q 1 01110 ss 0 mmmmm 1 0001 1 nnnnn ddddd", "sqrdmlsh", HS),
            dot("0 q 0 01110 10 0 mmmmm 1 0010 1 nnnnn ddddd", "sdot"),
            dot("0 q 1 01110 10 0 mmmmm 1 0010 1 nnnnn ddddd", "udot"),
            dot("0 q 0 01110 10 0 mmmmm 1 0011 1 nnnnn ddddd", "usdot"),
            row("0 q 1 01110 ss 0 mmmmm 1 10rr 1 nnnnn ddddd", "fcmla", &[V(D), V(N), V(M), Rotate90(11, 2)])
                .size_q(0b1011_1100),
            row("0 q 1 01110 ss 0 mmmmm 1 11r0 1 nnnnn ddddd", "fcadd", &[V(D), V(N), V(M), RotateAdd])
                .size_q(0b1011_1100),
            matrix("0 1 0 01110 10 0 mmmmm 1 0100 1 nnnnn ddddd", "smmla"),
            matrix("0 1 0 01110 10 0 mmmmm 1 0101 1 nnnnn ddddd", "usmmla"),
            matrix("0 1 1 01110 10 0 mmmmm 1 0100 1 nnnnn ddddd", "ummla"),
            row(
                "0 q 1 01110 01 0 mmmmm 1 1111 1 nnnnn ddddd",
                "bfdot",
                &[Vq(Single, D), Vq(Half, N), Vq(Half, M)],
            ),
            row(
                "0 1 1 01110 01 0 mmmmm 1 1101 1 nnnnn ddddd",
                "bfmmla",
                &[Vec(FULL_S, D), Vec(FULL_H, N), Vec(FULL_H, M)],
            ),
            row(
                "0 0 1 01110 11 0 mmmmm 1 1111 1 nnnnn ddddd",
                "bfmlalb",
                &[Vec(FULL_S, D), Vec(FULL_H, N), Vec(FULL_H, M)],
            ),
            row(
                "0 1 1 01110 11 0 mmmmm 1 1111 1 nnnnn ddddd",
                "bfmlalt",
                &[Vec(FULL_S, D), Vec(FULL_H, N), Vec(FULL_H, M)],
            ),
        ],
    ),
];
