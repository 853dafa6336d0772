/* SPDX-License-Identifier: Apache-2.0
 * hdf5_library.c - the lock around libhdf5. */
#include "datasets/hdf5_library.h"

#include <hdf5.h>
#include <pthread.h>

static pthread_mutex_t library = PTHREAD_MUTEX_INITIALIZER;

void snn_hdf5_enter(void) {
    pthread_mutex_lock(&library);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL); /* the setting is of a thread */
}

void snn_hdf5_leave(void) { pthread_mutex_unlock(&library); }
