/* SPDX-License-Identifier: Apache-2.0
 * downloads.c - the table. Checksums are of the files as distributed; a size of 0 has not been seen stated. */
#include "datasets/downloads.h"

#include <string.h>

#define MNIST_AT "https://ossci-datasets.s3.amazonaws.com/mnist/"
#define MNIST_TOO "https://storage.googleapis.com/cvdf-datasets/mnist/"
#define MNIST(name, size, sum)                                                                                         \
    { .file = name, .url = {MNIST_AT name, MNIST_TOO name}, .bytes = size, .md5 = sum }

#define FASHION_AT "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
#define FASHION_TOO "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
#define FASHION(name, size, sum)                                                                                       \
    { .file = name, .url = {FASHION_AT name, FASHION_TOO name}, .bytes = size, .md5 = sum }

#define KMNIST_AT "http://codh.rois.ac.jp/kmnist/dataset/kmnist/"
#define KMNIST(name, sum)                                                                                              \
    { .file = name, .url = {KMNIST_AT name}, .md5 = sum }

#define CIFAR_AT "https://www.cs.toronto.edu/~kriz/"
#define MENDELEY_AT "https://data.mendeley.com/public-files/datasets/"

#define SPIKES_AT "https://zenkelab.org/datasets/"
#define SPIKES_TOO "https://compneuro.net/datasets/"
#define SPIKES(packed, sum, plain, plain_sum)                                                                          \
    {                                                                                                                  \
        .file = packed, .url = {SPIKES_AT packed, SPIKES_TOO packed}, .md5 = sum, .unpacked = plain,                   \
        .unpacked_md5 = plain_sum                                                                                      \
    }

#define FIGSHARE_AT "https://ndownloader.figshare.com/files/"
#define CIFAR10_DVS(class, id, size, sum)                                                                              \
    { .file = class ".zip", .url = {FIGSHARE_AT id}, .bytes = size, .md5 = sum }

#define CIFAR100_FILES                                                                                                 \
    .page = "https://www.cs.toronto.edu/~kriz/cifar.html", .licence = "not stated; see the page",                      \
    .file = {{.file = "cifar-100-binary.tar.gz",                                                                       \
              .url = {CIFAR_AT "cifar-100-binary.tar.gz"},                                                             \
              .bytes = 168513733,                                                                                      \
              .md5 = "03b5dce01913d631647c71ecec9e9cb8"}}

const struct snn_downloads snn_downloads[] = {
    {.set = "mnist",
     .page = "http://yann.lecun.com/exdb/mnist",
     .licence = "CC BY-SA 3.0",
     .file = {MNIST("train-images-idx3-ubyte.gz", 9912422, "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
              MNIST("train-labels-idx1-ubyte.gz", 28881, "d53e105ee54ea40749a09fcbcd1e9432"),
              MNIST("t10k-images-idx3-ubyte.gz", 1648877, "9fb629c4189551a2d022fa330f9573f3"),
              MNIST("t10k-labels-idx1-ubyte.gz", 4542, "ec29112dd5afa0611ce80d1b7f02629c")}},
    {.set = "fashion_mnist",
     .page = "https://github.com/zalandoresearch/fashion-mnist",
     .licence = "MIT",
     .file = {FASHION("train-images-idx3-ubyte.gz", 26421880, "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
              FASHION("train-labels-idx1-ubyte.gz", 29515, "25c81989df183df01b3e8a0aad5dffbe"),
              FASHION("t10k-images-idx3-ubyte.gz", 4422102, "bef4ecab320f06d8554ea6380940ec79"),
              FASHION("t10k-labels-idx1-ubyte.gz", 5148, "bb300cfdad3c16e7a12a480ee83cd310")}},
    {.set = "kmnist",
     .page = "http://codh.rois.ac.jp/kmnist/",
     .licence = "CC BY-SA 4.0",
     .file = {KMNIST("train-images-idx3-ubyte.gz", "bdb82020997e1d708af4cf47b453dcf7"),
              KMNIST("train-labels-idx1-ubyte.gz", "e144d726b3acfaa3e44228e80efcd344"),
              KMNIST("t10k-images-idx3-ubyte.gz", "5c965bf0a639b31b8f53240b1b52f4d7"),
              KMNIST("t10k-labels-idx1-ubyte.gz", "7320c461ea6c1c855c0b718fb2a4b134")}},
    {.set = "cifar10",
     .page = "https://www.cs.toronto.edu/~kriz/cifar.html",
     .licence = "not stated; see the page",
     .file = {{.file = "cifar-10-binary.tar.gz",
               .url = {CIFAR_AT "cifar-10-binary.tar.gz"},
               .bytes = 170052171,
               .md5 = "c32a1d4ab5d03f1284b67883e8d87530"}}},
    {.set = "cifar100", CIFAR100_FILES},
    {.set = "cifar100_coarse", CIFAR100_FILES},
    {.set = "nmnist",
     .page = "https://www.garrickorchard.com/datasets/n-mnist",
     .licence = "CC BY-SA 4.0",
     .file = {{.file = "Train.zip",
               .url = {MENDELEY_AT "468j46mzdv/files/39c25547-014b-4137-a934-9d29fa53c7a0/file_downloaded"},
               .md5 = "20959b8e626244a1b502305a9e6e2031"},
              {.file = "Test.zip",
               .url = {MENDELEY_AT "468j46mzdv/files/05a4d654-7e03-4c15-bdfa-9bb2bcbea494/file_downloaded"},
               .md5 = "69ca8762b2fe404d9b9bad1103e97832"}}},
    {.set = "ncaltech101",
     .page = "https://www.garrickorchard.com/datasets/n-caltech101",
     .licence = "see the page",
     .file = {{.file = "Caltech101.zip",
               .url = {MENDELEY_AT "cy6cvx3ryv/files/36b5c52a-b49d-4853-addb-a836a8883e49/file_downloaded"},
               .md5 = "66201824eabb0239c7ab992480b50ba3"}}},
    {.set = "shd",
     .page = "https://zenkelab.org/resources/spiking-heidelberg-datasets-shd/",
     .licence = "CC BY 4.0",
     .file = {SPIKES("shd_train.h5.gz", "d47c9825dee33347913e8ce0f2be08b0", "shd_train.h5",
                     "8e9877c85f29a28dd353ea6a54402667"),
              SPIKES("shd_test.h5.gz", "3062a80ec0c5719404d5b02e166543b1", "shd_test.h5",
                     "207ad1295a0ab611e22d1734989c254e")}},
    {.set = "ssc", /* the .gz files have no checksum that could be confirmed, the .zip files have */
     .page = "https://zenkelab.org/resources/spiking-heidelberg-datasets-shd/",
     .licence = "CC BY 4.0",
     .file = {SPIKES("ssc_train.h5.zip", "d102be95e7144fcc0553d1f45ba94170", "ssc_train.h5", NULL),
              SPIKES("ssc_valid.h5.zip", "b4eee3516a4a90dd0c71a6ac23a8ae43", "ssc_valid.h5", NULL),
              SPIKES("ssc_test.h5.zip", "a35ff1e9cffdd02a20eb850c17c37748", "ssc_test.h5", NULL)}},
    {.set = "cifar10_dvs",
     .page = "https://figshare.com/articles/dataset/CIFAR10-DVS_New/4724671",
     .licence = "see the page",
     .file = {CIFAR10_DVS("airplane", "7712788", 747054427, "0afd5c4bf9ae06af762a77b180354fdd"),
              CIFAR10_DVS("automobile", "7712791", 970159102, "8438dfeba3bc970c94962d995b1b9bdd"),
              CIFAR10_DVS("bird", "7712794", 760766288, "a9c207c91c55b9dc2002dc21c684d785"),
              CIFAR10_DVS("cat", "7712812", 843271197, "52c63c677c2b15fa5146a8daf4d56687"),
              CIFAR10_DVS("deer", "7712815", 778283422, "b6bf21f6c04d21ba4e23fc3e36c8a4a3"),
              CIFAR10_DVS("dog", "7712818", 844609875, "f379ebdf6703d16e0a690782e62639c3"),
              CIFAR10_DVS("frog", "7712842", 818824848, "cad6ed91214b1c7388a5f6ee56d08803"),
              CIFAR10_DVS("horse", "7712851", 929265395, "e7cbbf77bec584ffbf913f00e682782a"),
              CIFAR10_DVS("ship", "7712836", 742404857, "41c7bd7d6b251be82557c6cce9a7d5c9"),
              CIFAR10_DVS("truck", "7712839", 950111954, "89f3922fd147d9aeff89e76a2b0b70a7")}},
    {.set = "dvs_gesture",
     .page = "http://research.ibm.com/dvsgesture/",
     .licence = "CC BY 4.0",
     .by_hand = "The files lie in a shared folder that only a browser can open:\n"
                "  https://ibm.ent.box.com/s/3hiq58ww1pbbjrinh367ykfdf60xsfm8/folder/50167556794\n"
                "Download DvsGesture.tar.gz (about 3 GB) there; it need not be unpacked. What tonic offers under the\n"
                "same name (ibmGestureTrain.tar.gz, ibmGestureTest.tar.gz) is cut and stored differently.",
     .file = {{.file = "DvsGesture.tar.gz", .md5 = "8a5c71fb11e24e5ca5b11866ca6c00a1"}}},
    {0},
};

const struct snn_downloads *snn_downloads_find(const char *set) {
    for (const struct snn_downloads *d = snn_downloads; d->set; ++d)
        if (!strcmp(d->set, set)) return d;
    return NULL;
}

int snn_downloads_count(const struct snn_downloads *downloads) {
    int n = 0;
    while (n < SNN_DOWNLOAD_FILES && downloads->file[n].file) ++n;
    return n;
}
