/* libzmq by itself, in C: what the works between processes could be at best.

   far-tell        PUSH/PULL, a frame of 32 bytes each, counted by the receiver
   far-ask         a DEALER/ROUTER echo, one by one; the median, in seconds
   far-asks        the same with 100 under way
   fan-out         an XPUB that waits for room, and 4 SUBs; counted when all have them
   fan-out-single  the same, one at a time: the next when all have said that they got the last

   All over tcp, in processes of their own, which are forked before there is a context. What comes
   back of far-tell and fan-out is a frame over PUSH/PULL, one for each burst. */

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

enum { SIZE = 32, BURST = 5000, AT_ONCE = 100, SAMPLES = 1 << 20, MOST_READERS = 64 };
enum { HERE = 64 }; /* bytes of an endpoint, with room */

static char payload[SIZE];
static double took[SAMPLES]; /* s, of each ask of a round */
static int readers = 4, burst = BURST;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec * 1e-9;
}

static void *opened(void *context, int type) {
    int none = 0;
    void *socket = zmq_socket(context, type);
    assert(socket);
    assert(zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof none) == 0);
    return socket;
}

/* Bind a free port of the loopback and tell the other process through a pipe. */
static void *bound(void *context, int type, const int *pipe, int times) {
    char endpoint[HERE] = "";
    size_t size = sizeof endpoint;
    void *socket = opened(context, type);
    assert(zmq_bind(socket, "tcp://127.0.0.1:*") == 0);
    assert(zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, endpoint, &size) == 0);
    while (times--)
        assert(write(pipe[1], endpoint, sizeof endpoint) == sizeof endpoint);
    return socket;
}

static void *connected(void *context, int type, const int *pipe) {
    char endpoint[HERE];
    void *socket = opened(context, type);
    assert(read(pipe[0], endpoint, sizeof endpoint) == sizeof endpoint);
    if (type == ZMQ_SUB)
        assert(zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "", 0) == 0);
    assert(zmq_connect(socket, endpoint) == 0);
    return socket;
}

static void put(void *socket) { assert(zmq_send(socket, payload, SIZE, 0) == SIZE); }

static void get(void *socket) {
    char frame[SIZE];
    assert(zmq_recv(socket, frame, SIZE, 0) >= 0);
}

/* -- the other process ------------------------------------------------------------------------- */

static void count(void *in, void *out) {
    for (;;) {
        for (int left = burst; left; left--)
            get(in);
        put(out);
    }
}

static void echo(void *router) {
    zmq_msg_t id, body;
    zmq_msg_init(&id);
    zmq_msg_init(&body);
    for (;;) {
        assert(zmq_msg_recv(&id, router, 0) >= 0);
        assert(zmq_msg_recv(&body, router, 0) >= 0);
        assert(zmq_msg_send(&id, router, ZMQ_SNDMORE) >= 0);
        assert(zmq_msg_send(&body, router, 0) >= 0);
    }
}

/* Start a process; it does not outlive us. */
static int is_child(pid_t *child) {
    *child = fork();
    assert(*child >= 0);
    if (*child == 0)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    return *child == 0;
}

/* -- rounds ------------------------------------------------------------------------------------ */

/* Whether there is another round; its seconds. The first one is for warming. */
static int told(double *seconds) {
    static int rounds;
    if (rounds++ == 0) {
        *seconds = 0.2;
        return 1;
    }
    if (rounds == 2) {
        printf("ready\n");
        fflush(stdout);
    }
    return scanf(" round %lf", seconds) == 1;
}

static int is_warming = 1;

static void say(double value, long number, double seconds, double p99) {
    if (!is_warming) {
        printf("{\"value\": %.9g, \"count\": %ld, \"seconds\": %.9g", value, number, seconds);
        if (p99 > 0)
            printf(", \"p99\": %.9g", p99);
        printf("}\n");
        fflush(stdout);
    }
    is_warming = 0;
}

/* Send bursts, so many ahead of what all have said they got. */
static void send_bursts(void *out, void *in, int ends, int ahead, double seconds) {
    double begun = now();
    long bursts = 0, heard = 0;
    while (now() - begun < seconds) {
        for (int left = burst; left; left--)
            put(out);
        bursts++;
        for (; heard < (bursts - ahead) * ends; heard++)
            get(in);
    }
    for (; heard < bursts * ends; heard++)
        get(in);
    double spent = now() - begun;
    say(bursts * burst / spent, bursts * burst, spent, 0);
}

static int by_size(const void *one, const void *other) {
    double a = *(const double *)one, b = *(const double *)other;
    return (a > b) - (a < b);
}

static void ask_one_by_one(void *dealer, double seconds) {
    long number = 0;
    double begun = now(), last = begun;
    while (last - begun < seconds && number < SAMPLES) {
        double start = last;
        put(dealer);
        get(dealer);
        last = now();
        took[number++] = last - start;
    }
    qsort(took, number, sizeof *took, by_size);
    say(took[number / 2], number, last - begun, took[number * 99 / 100]);
}

static void ask_at_once(void *dealer, double seconds) {
    long number = 0;
    double begun = now();
    for (int i = 0; i < AT_ONCE; i++)
        put(dealer);
    while (now() - begun < seconds) {
        get(dealer);
        put(dealer);
        number++;
    }
    for (int i = 0; i < AT_ONCE; i++, number++)
        get(dealer);
    double spent = now() - begun;
    say(number / spent, number, spent, 0);
}

/* -- works ------------------------------------------------------------------------------------- */

static pid_t children[MOST_READERS];
static int started;

static void far_tell(void) {
    int there[2], back[2];
    double seconds;
    assert(pipe(there) == 0 && pipe(back) == 0);
    if (is_child(&children[started++])) {
        void *context = zmq_ctx_new();
        void *in = bound(context, ZMQ_PULL, back, 1);
        count(in, connected(context, ZMQ_PUSH, there));
    }
    void *context = zmq_ctx_new();
    void *in = bound(context, ZMQ_PULL, there, 1);
    void *out = connected(context, ZMQ_PUSH, back);
    while (told(&seconds))
        send_bursts(out, in, 1, 1, seconds);
}

static void far_ask(void (*ask)(void *, double)) {
    int back[2];
    double seconds;
    assert(pipe(back) == 0);
    if (is_child(&children[started++]))
        echo(bound(zmq_ctx_new(), ZMQ_ROUTER, back, 1));
    void *dealer = connected(zmq_ctx_new(), ZMQ_DEALER, back);
    while (told(&seconds))
        ask(dealer, seconds);
}

static void fan_out(int ahead) {
    int feed[2], acks[2], waits = 1;
    double seconds;
    assert(pipe(feed) == 0 && pipe(acks) == 0);
    while (started < readers)
        if (is_child(&children[started++])) {
            void *context = zmq_ctx_new();
            void *in = connected(context, ZMQ_SUB, feed);
            count(in, connected(context, ZMQ_PUSH, acks));
        }
    void *context = zmq_ctx_new();
    void *in = bound(context, ZMQ_PULL, acks, readers);
    void *out = bound(context, ZMQ_XPUB, feed, readers);
    int verbose = 1; /* each subscription is told, equal ones too */
    assert(zmq_setsockopt(out, ZMQ_XPUB_VERBOSE, &verbose, sizeof verbose) == 0);
    assert(zmq_setsockopt(out, ZMQ_XPUB_NODROP, &waits, sizeof waits) == 0);
    for (int i = 0; i < readers; i++)
        get(out);
    while (told(&seconds))
        send_bursts(out, in, readers, ahead, seconds);
}

int main(int argc, char **argv) {
    const char *work = argc > 1 ? argv[1] : "";
    for (int i = 2; i < argc; i++)
        if (sscanf(argv[i], "subscribers=%d", &readers) == 1)
            assert(0 < readers && readers <= MOST_READERS);
    if (!strcmp(work, "far-tell")) {
        far_tell();
    } else if (!strcmp(work, "far-ask")) {
        far_ask(ask_one_by_one);
    } else if (!strcmp(work, "far-asks")) {
        far_ask(ask_at_once);
    } else if (!strcmp(work, "fan-out")) {
        fan_out(1);
    } else if (!strcmp(work, "fan-out-single")) {
        burst = 1;
        fan_out(0);
    } else {
        fprintf(stderr, "%s: %s is none of its works\n", argv[0], work);
        return 2;
    }
    for (int i = 0; i < started; i++) {
        kill(children[i], SIGKILL);
        waitpid(children[i], NULL, 0);
    }
    return 0;
}
