%% Savina's micro benchmarks in Erlang: the emulator as it starts.
%% Speaks what scripts/benchmarks/protocol.py says.
-module(savina).
-export([main/0]).

%% As large as in contestants/savina/problems.py.
-define(PINGS, 10000).
-define(INCREMENTS, 20000).
-define(RING, 100).
-define(HOPS, 20000).
-define(BIG_ACTORS, 120).
-define(BIG_PINGS, 100).
-define(CREATED, 1000).
-define(FORKED, 60).
-define(FORKED_MESSAGES, 500).
-define(CREATURES, 100).
-define(MEETINGS, 4000).
-define(SMOKERS, 200).
-define(SMOKES, 10000).
-define(WORKERS, 20).
-define(REQUESTS, 500).
-define(WRITE_SHARE, 0.1).
-define(KEYS, 512).
-define(PRODUCERS, 40).
-define(CONSUMERS, 40).
-define(ITEMS, 100).
-define(BUFFER, 50).
-define(PHILOSOPHERS, 20).
-define(MEALS, 200).

main() ->
    [Work | _] = init:get_plain_arguments(),
    Once = work(Work),
    repeated(Once, 0.2),
    io:put_chars("ready\n"),
    serve(Once),
    halt(0).

serve(Once) ->
    case io:get_line("") of
        "round " ++ Text ->
            io:put_chars([repeated(Once, seconds(string:trim(Text))), $\n]),
            serve(Once);
        eof ->
            ok
    end.

seconds(Text) ->
    case string:to_float(Text) of
        {error, no_float} -> float(list_to_integer(Text));
        {Seconds, _} -> Seconds
    end.

%% Each work gives a function that solves a problem once and says how many pieces it had.

work("savina-pingpong") -> fun ping_pong/0;
work("savina-counting") -> fun counting/0;
work("savina-threadring") -> fun thread_ring/0;
work("savina-big") ->
    Targets = [picks(?BIG_PINGS, ?BIG_ACTORS) || _ <- lists:seq(1, ?BIG_ACTORS)],
    fun() -> big(Targets) end;
work("savina-fjcreate") -> fun fork_join_create/0;
work("savina-fjthroughput") -> fun fork_join_throughput/0;
work("savina-chameneos") -> fun chameneos/0;
work("savina-smokers") ->
    Order = picks(?SMOKES, ?SMOKERS),
    fun() -> smokers(Order) end;
work("savina-dictionary") ->
    Requests = [[request(Index) || Index <- lists:seq(1, ?REQUESTS)]
                || _ <- lists:seq(1, ?WORKERS)],
    fun() -> dictionary(Requests) end;
work("savina-buffer") -> fun bounded_buffer/0;
work("savina-philosophers") -> fun philosophers/0.

picks(Count, Top) -> [rand:uniform(Top) || _ <- lists:seq(1, Count)].

request(Index) ->
    case rand:uniform() < ?WRITE_SHARE of
        true -> {write, rand:uniform(?KEYS), Index};
        false -> {read, rand:uniform(?KEYS)}
    end.

%% -- ping-pong --

ping_pong() ->
    Gate = self(),
    Pong = spawn(fun() -> pong(0) end),
    spawn(fun() -> ping(Gate, Pong, ?PINGS) end),
    1 = solved(1),
    ?PINGS = counted(Pong),
    stop([Pong]),
    2 * ?PINGS.

pong(Count) ->
    receive
        {ping, From} -> From ! pong, pong(Count + 1);
        {count, From} -> From ! {counted, Count}, pong(Count);
        stop -> ok
    end.

ping(Gate, _, 0) -> Gate ! {arrive, 1};
ping(Gate, Pong, Left) ->
    Pong ! {ping, self()},
    receive pong -> ping(Gate, Pong, Left - 1) end.

%% -- counting --

counting() ->
    Gate = self(),
    Counter = spawn(fun() -> counter(0) end),
    spawn(fun() -> tell(Counter, ?INCREMENTS), Gate ! {arrive, counted(Counter)} end),
    ?INCREMENTS = solved(1),
    stop([Counter]),
    ?INCREMENTS.

counter(Count) ->
    receive
        increment -> counter(Count + 1);
        {count, From} -> From ! {counted, Count}, counter(Count);
        stop -> ok
    end.

tell(_, 0) -> ok;
tell(Counter, Left) -> Counter ! increment, tell(Counter, Left - 1).

%% -- thread ring --

thread_ring() ->
    Gate = self(),
    Links = [spawn(fun() -> joining(Gate) end) || _ <- lists:seq(1, ?RING)],
    [Link ! {join, Next} || {Link, Next} <- lists:zip(Links, tl(Links) ++ [hd(Links)])],
    hd(Links) ! {take, ?HOPS},
    1 = solved(1),
    stop(Links),
    ?HOPS.

joining(Gate) -> receive {join, Next} -> link_of(Gate, Next) end.

link_of(Gate, Next) ->
    receive
        {take, 0} -> Gate ! {arrive, 1}, link_of(Gate, Next);
        {take, Left} -> Next ! {take, Left - 1}, link_of(Gate, Next);
        stop -> ok
    end.

%% -- big --

big(Targets) ->
    Gate = self(),
    Peers = [spawn(fun() -> big_begin(Gate, Mine) end) || Mine <- Targets],
    Known = list_to_tuple(Peers),
    [Peer ! {begin_with, Known} || Peer <- Peers],
    Answered = solved(?BIG_ACTORS),
    Answered = ?BIG_ACTORS * ?BIG_PINGS,
    stop(Peers),
    2 * Answered.

big_begin(Gate, Targets) ->
    receive {begin_with, Known} -> big_ping(Gate, Known, Targets, 0) end.

big_ping(Gate, Known, [], Answered) ->
    Gate ! {arrive, Answered},
    big_wait(Gate, Known, none, [], Answered);
big_ping(Gate, Known, [Target | Rest], Answered) ->
    Peer = element(Target, Known),
    Peer ! {ping, self()},
    big_wait(Gate, Known, Peer, Rest, Answered).

big_wait(Gate, Known, Peer, Rest, Answered) ->
    receive
        {ping, From} -> From ! {pong, self()}, big_wait(Gate, Known, Peer, Rest, Answered);
        {pong, From} -> From = Peer, big_ping(Gate, Known, Rest, Answered + 1);
        stop -> ok
    end.

%% -- fork and join --

fork_join_create() ->
    Gate = self(),
    [spawn(fun() -> fork_of(Gate, 1) end) ! {work, Number} || Number <- lists:seq(1, ?CREATED)],
    solved(?CREATED).

fork_join_throughput() ->
    Gate = self(),
    Forks = [spawn(fun() -> fork_of(Gate, ?FORKED_MESSAGES) end) || _ <- lists:seq(1, ?FORKED)],
    [[Fork ! {work, Number} || Fork <- Forks] || Number <- lists:seq(1, ?FORKED_MESSAGES)],
    solved(?FORKED) * ?FORKED_MESSAGES.

fork_of(Gate, 0) -> Gate ! {arrive, 1};
fork_of(Gate, Left) ->
    receive {work, Angle} -> _ = math:sin(Angle), fork_of(Gate, Left - 1) end.

%% -- chameneos --

chameneos() ->
    Gate = self(),
    Mall = spawn(fun() -> mall(?MEETINGS, none) end),
    Creatures = [spawn(fun() -> enter(Gate, Mall, colour(Number rem 3), 0) end)
                 || Number <- lists:seq(1, ?CREATURES)],
    2 * ?MEETINGS =:= solved(length(Creatures)) orelse exit(wrong_meetings),
    stop([Mall]),
    ?MEETINGS.

colour(0) -> yellow;
colour(1) -> blue;
colour(2) -> red.

mall(Left, Waiting) ->
    receive
        {enter, Creature, _} when Left =:= 0 -> Creature ! leave, mall(0, none);
        {enter, Creature, _} when Waiting =:= none -> mall(Left, Creature);
        {enter, Creature, Colour} -> Waiting ! {meet, Creature, Colour}, mall(Left - 1, none);
        stop -> ok
    end.

enter(Gate, Mall, Colour, Met) ->
    Mall ! {enter, self(), Colour},
    receive
        {meet, Other, Its} ->
            Changed = complement(Colour, Its),
            Other ! {change, Changed},
            enter(Gate, Mall, Changed, Met + 1);
        {change, Changed} -> enter(Gate, Mall, Changed, Met + 1);
        leave -> Gate ! {arrive, Met}
    end.

complement(Colour, Colour) -> Colour;
complement(One, Other) -> hd([blue, red, yellow] -- [One, Other]).

%% -- cigarette smokers --

smokers(Order) ->
    Gate = self(),
    Smokers = [spawn(fun() -> smoker(Gate, 0) end) || _ <- lists:seq(1, ?SMOKERS)],
    Known = list_to_tuple(Smokers),
    spawn(fun() -> arbiter(Order, Known), [Smoker ! leave || Smoker <- Smokers] end),
    ?SMOKES = solved(?SMOKERS).

arbiter([], _) -> ok;
arbiter([Chosen | Rest], Known) ->
    element(Chosen, Known) ! {smoke, self()},
    receive started -> arbiter(Rest, Known) end.

smoker(Gate, Smoked) ->
    receive
        {smoke, Arbiter} -> Arbiter ! started, smoker(Gate, Smoked + 1);
        leave -> Gate ! {arrive, Smoked}
    end.

%% -- concurrent dictionary --

dictionary(Requests) ->
    Gate = self(),
    Dictionary = spawn(fun() -> keep(#{}) end),
    [spawn(fun() -> reader(Gate, Dictionary, Mine, 0) end) || Mine <- Requests],
    Answered = solved(?WORKERS),
    Answered = ?WORKERS * ?REQUESTS,
    stop([Dictionary]),
    Answered.

keep(Values) ->
    receive
        {From, {read, Key}} -> From ! {result, maps:get(Key, Values, 0)}, keep(Values);
        {From, {write, Key, Value}} -> From ! {result, Value}, keep(Values#{Key => Value});
        stop -> ok
    end.

reader(Gate, _, [], Answered) -> Gate ! {arrive, Answered};
reader(Gate, Dictionary, [Request | Rest], Answered) ->
    Dictionary ! {self(), Request},
    Value = receive {result, Result} -> Result end,
    case Request of
        {write, _, Written} -> Value = Written;
        {read, _} -> ok
    end,
    reader(Gate, Dictionary, Rest, Answered + 1).

%% -- bounded buffer --

bounded_buffer() ->
    Gate = self(),
    Buffer = spawn(fun() -> receive {begin_with, Idle} ->
        buffer(queue:new(), 0, queue:new(), queue:from_list(Idle), ?PRODUCERS * ?ITEMS) end end),
    Consumers = [spawn(fun() -> consumer(Gate, Buffer, 0) end) || _ <- lists:seq(1, ?CONSUMERS)],
    Buffer ! {begin_with, Consumers},
    [spawn(fun() -> producer(Gate, Buffer, ?ITEMS) end) ! produce
     || _ <- lists:seq(1, ?PRODUCERS)],
    Consumed = solved(?PRODUCERS + ?CONSUMERS),
    Consumed = ?PRODUCERS * ?ITEMS,
    stop([Buffer]),
    Consumed.

producer(Gate, Buffer, Left) ->
    receive
        produce when Left =:= 0 -> Gate ! {arrive, 0};
        produce -> Buffer ! {put, self(), Left}, producer(Gate, Buffer, Left - 1)
    end.

consumer(Gate, Buffer, Count) ->
    receive
        {consume, _} -> Buffer ! {take, self()}, consumer(Gate, Buffer, Count + 1);
        leave -> Gate ! {arrive, Count}
    end.

buffer(Items, Size, HeldBack, Idle, Left) ->
    receive
        {put, Producer, Item} -> put_in(Items, Size, HeldBack, Idle, Left, Producer, Item);
        {take, Consumer} ->
            Left > 1 orelse [One ! leave || One <- [Consumer | queue:to_list(Idle)]],
            take_out(Items, Size, HeldBack, Idle, Left - 1, Consumer);
        stop -> ok
    end.

put_in(Items, Size, HeldBack, Idle, Left, Producer, Item) ->
    case queue:out(Idle) of
        {{value, Consumer}, Others} ->
            Consumer ! {consume, Item},
            let_on(Items, Size, HeldBack, Others, Left, Producer);
        {empty, _} ->
            let_on(queue:in(Item, Items), Size + 1, HeldBack, Idle, Left, Producer)
    end.

let_on(Items, Size, HeldBack, Idle, Left, Producer) when Size < ?BUFFER - ?PRODUCERS ->
    Producer ! produce,
    buffer(Items, Size, HeldBack, Idle, Left);
let_on(Items, Size, HeldBack, Idle, Left, Producer) ->
    buffer(Items, Size, queue:in(Producer, HeldBack), Idle, Left).

take_out(Items, Size, HeldBack, Idle, Left, Consumer) ->
    case queue:out(Items) of
        {empty, _} -> buffer(Items, Size, HeldBack, queue:in(Consumer, Idle), Left);
        {{value, Item}, Rest} ->
            Consumer ! {consume, Item},
            case queue:out(HeldBack) of
                {empty, _} -> buffer(Rest, Size - 1, HeldBack, Idle, Left);
                {{value, Producer}, Others} ->
                    Producer ! produce,
                    buffer(Rest, Size - 1, Others, Idle, Left)
            end
    end.

%% -- dining philosophers --

philosophers() ->
    Gate = self(),
    Waiter = spawn(fun() -> waiter(#{}) end),
    [spawn(fun() -> philosopher(Gate, Waiter, Seat, ?MEALS) end)
     || Seat <- lists:seq(0, ?PHILOSOPHERS - 1)],
    Meals = solved(?PHILOSOPHERS),
    Meals = ?PHILOSOPHERS * ?MEALS,
    0 = counted(Waiter),
    stop([Waiter]),
    Meals.

philosopher(Gate, _, _, 0) -> Gate ! {arrive, ?MEALS};
philosopher(Gate, Waiter, Seat, Left) ->
    Waiter ! {hungry, self(), Seat},
    receive
        denied -> philosopher(Gate, Waiter, Seat, Left);
        eat -> Waiter ! {full, Seat}, philosopher(Gate, Waiter, Seat, Left - 1)
    end.

waiter(Taken) ->
    receive
        {hungry, From, Seat} ->
            Right = (Seat + 1) rem ?PHILOSOPHERS,
            case maps:is_key(Seat, Taken) orelse maps:is_key(Right, Taken) of
                true -> From ! denied, waiter(Taken);
                false -> From ! eat, waiter(Taken#{Seat => true, Right => true})
            end;
        {full, Seat} ->
            waiter(maps:without([Seat, (Seat + 1) rem ?PHILOSOPHERS], Taken));
        {count, From} -> From ! {counted, map_size(Taken)}, waiter(Taken);
        stop -> ok
    end.

%% -- what all do --

solved(Parties) -> solved(Parties, 0).

solved(0, Sum) -> Sum;
solved(Parties, Sum) ->
    receive {arrive, Result} -> solved(Parties - 1, Sum + Result)
    after 60000 -> exit({not_done, Parties})
    end.

counted(Pid) ->
    Pid ! {count, self()},
    receive {counted, Count} -> Count end.

stop(Pids) ->
    Refs = [monitor(process, Pid) || Pid <- Pids],
    [Pid ! stop || Pid <- Pids],
    [receive {'DOWN', Ref, _, _, _} -> ok end || Ref <- Refs],
    ok.

repeated(Once, Seconds) ->
    Begun = now_seconds(),
    Count = repeat(Once, Begun + Seconds, 0),
    Took = now_seconds() - Begun,
    io_lib:format("{\"value\":~.3f,\"count\":~w,\"seconds\":~.6f}", [Count / Took, Count, Took]).

repeat(Once, End, Count) ->
    Done = Count + Once(),
    case now_seconds() < End of
        true -> repeat(Once, End, Done);
        false -> Done
    end.

now_seconds() -> erlang:monotonic_time(nanosecond) / 1.0e9.
