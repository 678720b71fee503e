/* The deck's programs in C99 on plain libzmq: what actormq's examples must be able to talk to.
 *
 * `peer ROLE OPTIONS`, such as `peer hello-client --port 5555 --count 10`.
 * Knows nothing of actormq. peer.py and peer.mjs have the same roles, options and printed lines.
 * A role that binds takes port 0 for a free one, and prints `bound PORT` for each socket.
 * Compiled by scripts/peers.
 */

#define _POSIX_C_SOURCE 200809L /* clock_gettime, nanosleep */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zmq.h>

enum { FIRST_ZIP = 10001, ZIPS = 10, TASKS = 100, TEXT = 256 };
enum { COLDER = 9940, HUMIDITY = 50 }; /* 10001 has 61 F, always: so a test knows the mean */
enum { PAUSE = 1 }; /* ms between two readings: enough for any client, and no load on the machine */

static void *context;
static int argument_count;
static char **arguments;

/* -- the command line and the clock ------------------------------------------------------------ */

static int has(const char *name)
{
    for (int i = 2; i < argument_count; i++)
        if (strcmp(arguments[i], name) == 0)
            return i;
    return 0;
}

static const char *option(const char *name, const char *fallback)
{
    int at = has(name);
    return at && at + 1 < argument_count ? arguments[at + 1] : fallback;
}

static int number(const char *name) { return atoi(option(name, "10")); }

static int between(int low, int high) { return low + rand() % (high - low + 1); }

static void pause_for(int milliseconds)
{
    struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
    nanosleep(&time, NULL);
}

static double now_ms(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e3 + time.tv_nsec / 1e6;
}

/* -- sockets ----------------------------------------------------------------------------------- */

static void say(const char *line)
{
    puts(line);
    fflush(stdout);
}

static void give_up(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, zmq_strerror(zmq_errno()));
    exit(1);
}

static void *new_socket(int kind, const char *port, char *endpoint)
{
    void *socket = zmq_socket(context, kind);
    if (!socket)
        give_up("zmq_socket");
    snprintf(endpoint, TEXT, "tcp://%s:%s", option("--host", "127.0.0.1"), option(port, "0"));
    return socket;
}

static void *connected(int kind, const char *port)
{
    char endpoint[TEXT];
    void *socket = new_socket(kind, port, endpoint);
    if (zmq_connect(socket, endpoint) != 0)
        give_up(endpoint);
    return socket;
}

static void *bound(int kind, const char *port)
{
    char endpoint[TEXT];
    size_t size = sizeof endpoint;
    void *socket = new_socket(kind, port, endpoint);
    if (zmq_bind(socket, endpoint) != 0)
        give_up(endpoint);
    zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, endpoint, &size);
    printf("bound %s\n", strrchr(endpoint, ':') + 1);
    fflush(stdout);
    return socket;
}

static void send_text(void *socket, const char *text)
{
    if (zmq_send(socket, text, strlen(text), 0) < 0)
        give_up("zmq_send");
}

/* Receives a message, which has to be one frame of text. */
static const char *read_text(void *socket)
{
    static char text[TEXT];
    int more;
    size_t size = sizeof more;
    int length = zmq_recv(socket, text, sizeof text - 1, 0);
    if (length < 0 || length >= TEXT)
        give_up("zmq_recv");
    text[length] = '\0';
    zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &size);
    if (more) {
        fprintf(stderr, "expected one frame, not several: %s\n", text);
        exit(1);
    }
    return text;
}

/* -- roles ------------------------------------------------------------------------------------- */

static void hello_server(void)
{
    void *door = (has("--connect") ? connected : bound)(ZMQ_REP, "--port");
    for (;;) {
        say(read_text(door));
        send_text(door, "World");
    }
}

static void hello_client(void)
{
    void *server = connected(ZMQ_REQ, "--port");
    for (int left = number("--count"); left > 0; left--) {
        send_text(server, "Hello");
        say(read_text(server));
    }
}

static void weather_server(void)
{
    char reading[TEXT];
    void *feed = bound(ZMQ_PUB, "--port");
    for (int i = 0;; i = (i + 1) % ZIPS) {
        int zip = FIRST_ZIP + i;
        snprintf(reading, sizeof reading, "%d %d %d", zip, zip - COLDER, HUMIDITY);
        send_text(feed, reading);
        pause_for(PAUSE);
    }
}

static void weather_client(void)
{
    const char *zip = option("--zip", "10001");
    void *feed = connected(ZMQ_SUB, "--port");
    zmq_setsockopt(feed, ZMQ_SUBSCRIBE, zip, strlen(zip));
    for (int left = number("--count"); left > 0; left--)
        say(read_text(feed));
}

static void ventilator(void)
{
    char line[TEXT];
    void *tasks = bound(ZMQ_PUSH, "--port");
    if (!fgets(line, sizeof line, stdin))
        return;
    send_text(tasks, "0");
    for (int i = 0; i < TASKS; i++) {
        snprintf(line, sizeof line, "%d", between(1, 3));
        send_text(tasks, line);
    }
    printf("sent %d\n", TASKS);
    fflush(stdout);
    while (getchar() != EOF) /* an end before the tests want it could lose what is queued */
        ;
}

static void worker(void)
{
    void *tasks = connected(ZMQ_PULL, "--port"), *results = connected(ZMQ_PUSH, "--sink-port");
    for (;;) {
        const char *milliseconds = read_text(tasks);
        say(milliseconds);
        pause_for(atoi(milliseconds));
        send_text(results, "");
    }
}

static void sink(void)
{
    void *results = bound(ZMQ_PULL, "--port");
    double begun = 0;
    for (int received = 0; received < 1 + TASKS; received++) {
        const char *result = read_text(results);
        if (*result) {
            fprintf(stderr, "a result is an empty message, not %s\n", result);
            exit(1);
        }
        if (received == 0)
            begun = now_ms();
    }
    printf("elapsed %.0f ms\n", now_ms() - begun);
    fflush(stdout);
}

static void queue(void)
{
    void *frontend = bound(ZMQ_ROUTER, "--frontend-port");
    zmq_proxy(frontend, bound(ZMQ_DEALER, "--backend-port"), NULL);
}

static void proxy(void)
{
    void *frontend = connected(ZMQ_XSUB, "--port");
    zmq_proxy(frontend, bound(ZMQ_XPUB, "--proxy-port"), NULL);
}

static const struct {
    const char *name;
    void (*play)(void);
} ROLES[] = {
    {"hello-server", hello_server}, {"hello-client", hello_client},
    {"weather-server", weather_server}, {"weather-client", weather_client},
    {"ventilator", ventilator}, {"worker", worker}, {"sink", sink},
    {"queue", queue}, {"proxy", proxy},
};

int main(int argc, char **argv)
{
    argument_count = argc;
    arguments = argv;
    for (size_t i = 0; argc > 1 && i < sizeof ROLES / sizeof *ROLES; i++)
        if (strcmp(argv[1], ROLES[i].name) == 0) {
            context = zmq_ctx_new();
            ROLES[i].play();
            return 0; /* what a role had to send was answered, so nothing is left in a queue */
        }
    fprintf(stderr, "usage: peer ROLE OPTIONS; peer.c lists the roles\n");
    return 2;
}
