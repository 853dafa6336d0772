/* SPDX-License-Identifier: Apache-2.0
 * biper.h - how far a square wave of weights is from the sine that stands for it in training.
 *
 * For latent weights w ~ Laplace(0,b) and z = frequency * b, quantised as gamma * sign(sin(frequency w)):
 *   A(z) = E|sin| = z/(1+z^2) coth(pi/(2z))     S(z) = E sin^2 = 2z^2/(1+4z^2)
 *   E (gamma sign(sin) - sin)^2 = gamma^2 - 2 gamma A + S, least at gamma = A: S - A^2 */
#ifndef SNN_BIPER_H
#define SNN_BIPER_H

struct snn_biper_error {
    double A, S;
    double plain; /* gamma 1 */
    double best;  /* gamma A */
};
struct snn_biper_error snn_biper_error(double z);

#endif
