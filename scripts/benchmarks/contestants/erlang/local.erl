%% Erlang within a node: tells, asks, and processes that come and go; the emulator as it starts.
%% Speaks what scripts/benchmarks/protocol.py says.
-module(local).
-export([main/0]).

-define(BURST, 5000).  % tells between two looks at the receiver, as the others do
-define(PAYLOAD, <<"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx">>).

main() ->
    [Work | Settings] = init:get_plain_arguments(),
    Round = work(Work, maps:from_list([list_to_tuple(string:split(S, "=")) || S <- Settings])),
    Round(0.2),
    io:put_chars("ready\n"),
    serve(Round),
    halt(0).

serve(Round) ->
    case io:get_line("") of
        "round " ++ Text ->
            {Seconds, _} = string:to_float(string:trim(Text)),
            io:put_chars([Round(Seconds), $\n]),
            serve(Round);
        eof ->
            ok
    end.

%% The four works: each gives a function that does a round of about so many seconds.

work("local-tell", _) ->
    Counter = spawn(fun() -> counter(0) end),
    fun(Seconds) -> repeated(fun() -> burst(Counter) end, Seconds) end;
work("local-ask", _) ->
    Counter = spawn(fun() -> counter(0) end),
    fun(Seconds) -> latency(timed(fun() -> ask(Counter) end, deadline(Seconds), [])) end;
work("spawn", #{"actors" := Text}) ->
    Actors = list_to_integer(Text),
    Bytes = bytes_each(Actors),
    fun(Seconds) ->
        {Count, Took} = started(Actors, Seconds, 0, 0.0),
        rate(Count, Took, io_lib:format(",\"bytes\":~w", [Bytes]))
    end;
work("spawn-live", #{"actors" := Text}) ->
    Actors = list_to_integer(Text),
    fun(Seconds) -> repeated(fun() -> lived(Actors) end, Seconds) end.

counter(Count) ->
    receive
        {hit, _Payload} -> counter(Count + 1);
        {count, From, Ref} -> From ! {Ref, Count}, counter(Count);
        stop -> ok
    end.

%% As gen_server:call does: a monitor answers if the process ends instead.
ask(Pid) ->
    Ref = monitor(process, Pid),
    Pid ! {count, self(), Ref},
    receive
        {Ref, Count} -> demonitor(Ref, [flush]), Count;
        {'DOWN', Ref, _, _, Reason} -> exit(Reason)
    end.

burst(Counter) ->
    Before = ask(Counter),
    tell(Counter, ?BURST),
    ?BURST = ask(Counter) - Before.

tell(_, 0) -> ok;
tell(Pid, Left) -> Pid ! {hit, ?PAYLOAD}, tell(Pid, Left - 1).

begin_all(Actors) -> [spawn(fun() -> counter(0) end) || _ <- lists:seq(1, Actors)].

end_all(Pids) ->
    Refs = [monitor(process, Pid) || Pid <- Pids],
    [Pid ! stop || Pid <- Pids],
    [receive {'DOWN', Ref, _, _, normal} -> ok end || Ref <- Refs],
    length(Pids).

started(Actors, Seconds, Count, Took) ->
    {Micros, Pids} = timer:tc(fun() -> begin_all(Actors) end),
    Done = {Count + end_all(Pids), Took + Micros / 1.0e6},
    case element(2, Done) < Seconds of
        true -> started(Actors, Seconds, element(1, Done), element(2, Done));
        false -> Done
    end.

lived(Actors) ->
    Pids = begin_all(Actors),
    [Pid ! {hit, ?PAYLOAD} || Pid <- Pids],
    end_all(Pids).

bytes_each(Actors) ->
    Before = erlang:memory(processes_used),
    Pids = begin_all(Actors),
    After = erlang:memory(processes_used),
    end_all(Pids),
    (After - Before) div Actors.

%% The clock, and what is said of it.

now_seconds() -> erlang:monotonic_time(nanosecond) / 1.0e9.

deadline(Seconds) -> now_seconds() + Seconds.

repeated(Once, Seconds) ->
    Begun = now_seconds(),
    Count = repeat(Once, Begun + Seconds, 0),
    rate(Count, now_seconds() - Begun, "").

repeat(Once, End, Count) ->
    Done = Count + Once(),
    case now_seconds() < End of
        true -> repeat(Once, End, Done);
        false -> Done
    end.

timed(Once, End, Took) ->
    Begun = now_seconds(),
    Once(),
    Now = now_seconds(),
    case Now < End of
        true -> timed(Once, End, [Now - Begun | Took]);
        false -> [Now - Begun | Took]
    end.

rate(Count, Seconds, Extra) ->
    io_lib:format("{\"value\":~.3f,\"count\":~w,\"seconds\":~.6f~s}",
                  [Count / Seconds, Count, Seconds, Extra]).

latency(Took) ->
    Sorted = lists:sort(Took),
    Count = length(Sorted),
    io_lib:format("{\"value\":~.9f,\"p99\":~.9f,\"count\":~w,\"seconds\":~.6f}",
                  [lists:nth(Count div 2 + 1, Sorted), lists:nth(Count * 99 div 100 + 1, Sorted),
                   Count, lists:sum(Took)]).
