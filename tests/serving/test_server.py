"""OpenAI's chat completions, asked by OpenAI's own client and by whoever means no good."""

import http.client
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest
from chat_server import CONTEXT, chat_model, running

from course_utils.generation import generate
from course_utils.serving import desk
from course_utils.serving.asking import MAX_BYTES, MAX_MESSAGES

pytestmark = pytest.mark.usefixtures("one_thread")
HELLO = [{"role": "user", "content": "Is mercy strained?"}]


@pytest.fixture(scope="module")
def small():
    return chat_model()


@pytest.fixture(scope="module")
def slow():
    return chat_model(pause=0.02)


@pytest.fixture(scope="module")
def port(small, slow):
    with running(small=small, slow=slow) as port:
        yield port


@pytest.fixture
def client(port):
    with openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="any", max_retries=0) as client:
        yield client


def direct(chat, length, messages=HELLO, **settings):
    return generate(chat.model, [chat.encode(messages)], length, decode=chat.decode, **settings)[0]


def post(port, body, path="/v1/chat/completions", **headers):
    """Status and content of the answer, by a client that sends what it likes."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Content-Type": "application/json"} | {k.replace("_", "-"): v for k, v in headers.items()}
    body = body if isinstance(body, bytes | str) else json.dumps(body)
    connection.request("POST", path, body, headers)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response.status, json.loads(content)


# ---- any client ------------------------------------------------------------------------------------


def test_an_answer_is_what_the_model_writes(client, small):
    answer = client.chat.completions.create(model="small", messages=HELLO, temperature=0, max_tokens=12)
    expected = direct(small, 12)
    assert answer.choices[0].message.content == expected.text and answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 12
    assert answer.usage.prompt_tokens == len(small.encode(HELLO)) == answer.usage.total_tokens - 12


def test_a_stream_has_the_same_text_in_pieces(client, small):
    options = {"include_usage": True}
    chunks = [
        *client.chat.completions.create(
            model="small", messages=HELLO, temperature=0, max_tokens=12, stream=True, stream_options=options
        )
    ]
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    assert deltas[0].role == "assistant"
    assert "".join(delta.content or "" for delta in deltas) == direct(small, 12).text
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-2:] == [None, "length"]
    assert chunks[-1].usage.completion_tokens == 12 and len({chunk.id for chunk in chunks}) == 1
    assert len(chunks) > 6


def test_a_stream_comes_while_it_is_written(client, slow):
    before = slow.model.steps
    stream = client.chat.completions.create(model="slow", messages=HELLO, max_tokens=40, stream=True)
    next(chunk for chunk in stream if chunk.choices[0].delta.content)
    assert slow.model.steps - before < 30
    assert [chunk for chunk in stream][-1].choices[0].finish_reason == "length"


def test_seed_stop_and_roles(client, small):
    def ask(**settings):
        given = {"model": "small", "messages": HELLO, "max_tokens": 12} | settings
        return client.chat.completions.create(**given).choices[0]

    assert ask(seed=3).message.content == ask(seed=3).message.content != ask(seed=4).message.content
    text = direct(small, 12).text
    stopped = ask(temperature=0, stop=[text[4:6], "never said"])
    assert stopped.message.content == text[: text.index(text[4:6])] and stopped.finish_reason == "stop"
    parts = [{"type": "text", "text": "Is mercy "}, {"type": "text", "text": "strained?"}]
    assert ask(messages=[{"role": "user", "content": parts}], temperature=0).message.content == text
    told = [{"role": "developer", "content": "Be brief."}, *HELLO]
    assert (
        ask(messages=told, temperature=0).message.content
        == direct(small, 12, [{"role": "system", "content": "Be brief."}, *HELLO]).text
    )


def test_the_models_on_offer(client):
    assert [model.id for model in client.models.list()] == ["small", "slow", "broken"]
    assert client.models.retrieve("slow").object == "model"
    with pytest.raises(openai.NotFoundError, match="there is no model 'large'"):
        client.models.retrieve("large")


# ---- those who mean no good ------------------------------------------------------------------------


def message(**changes):
    return {"messages": [{"role": "user", "content": "Hi"} | changes]}


@pytest.mark.parametrize(
    "body, status, param, words",
    [
        (b"{", 400, None, "not JSON"),
        (b"\xff\xfe", 400, None, "not JSON"),
        (b"[" * 100_000, 400, None, "not JSON"),
        ("[]", 400, None, "must be a JSON object; got []"),
        ({}, 400, "messages", "must be a list of 1 to 1,000 messages; got null"),
        ({"messages": []}, 400, "messages", "got []"),
        ({"messages": HELLO * (MAX_MESSAGES + 1)}, 400, "messages", "1 to 1,000"),
        ({"messages": ["Hi"]}, 400, "messages[0]", 'must be an object; got "Hi"'),
        (message(role="tool"), 400, "messages[0].role", "must be one of system, developer, user, assistant"),
        (message(role=[]), 400, "messages[0].role", "got []"),
        (message(content=5), 400, "messages[0].content", "must be a text; got 5"),
        (message(content=None), 400, "messages[0].content", "got null"),
        (message(content=[{"type": "image_url"}]), 400, "messages[0].content", "must be texts; got"),
        (message(content="\ud83d"), 400, "messages[0].content", "half a character"),
        (message(content="x" * 100_000), 400, "messages", f"small reads 1 to {CONTEXT - 1}"),
        (message() | {"model": "<b>large</b>"}, 404, "model", 'no model "<b>large</b>" here: choose small'),
        (message() | {"model": 7}, 400, "model", "must be the name of a model; got 7"),
        (message() | {"model": "broken"}, 503, "model", "can't be loaded: model.safetensors is damaged"),
        (message() | {"temperature": float("nan")}, 400, "temperature", "0 (greedy) to 2; got NaN"),
        (message() | {"temperature": float("inf")}, 400, "temperature", "got Infinity"),
        (message() | {"temperature": 10**400}, 400, "temperature", "got 1000"),
        (message() | {"temperature": -1}, 400, "temperature", "got -1"),
        (message() | {"temperature": True}, 400, "temperature", "got true"),
        (message() | {"temperature": "hot"}, 400, "temperature", 'got "hot"'),
        (message() | {"top_p": 1.5}, 400, "top_p", "from 0 to 1; got 1.5"),
        (message() | {"max_tokens": 0}, 400, "max_tokens", "at least 1; got 0"),
        (message() | {"max_completion_tokens": 1.5}, 400, "max_completion_tokens", "got 1.5"),
        (message() | {"seed": 2**64}, 400, "seed", "64 bits"),
        (message() | {"stop": ["a", ""]}, 400, "stop", "none of them empty"),
        (message() | {"stop": [5]}, 400, "stop", "got [5]"),
        (message() | {"stream": "yes"}, 400, "stream", "true or false"),
        (message() | {"stream_options": {"include_usage": 1}}, 400, "stream_options", "true or false; got 1"),
        (message() | {"n": 2}, 400, "n", "can't be had here"),
        (message() | {"tools": [{}]}, 400, "tools", "can't be had here"),
        (message() | {"colour": "red"}, 400, "colour", '"colour" can\'t be had here'),
        (b" " * (MAX_BYTES + 1), 413, None, "at most 2,000,000 bytes"),
    ],
)
def test_every_refusal_is_a_sentence_in_openais_format(body, status, param, words, port):
    got, content = post(port, body)
    error = content["error"]
    assert (
        (got, error["param"]) == (status, param) and words in error["message"] and len(error["message"]) < 300
    )
    assert error["type"] == ("server_error" if status >= 500 else "invalid_request_error")


@pytest.mark.parametrize("path", ["/", "/v1/models", "/nowhere"])
def test_what_is_too_long_is_not_read_at_any_address(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.putrequest("POST", path)
    connection.putheader("Content-Length", str(MAX_BYTES + 1))
    connection.endheaders()
    assert connection.getresponse().status == 400  # before a byte of it came
    connection.close()


def test_openais_client_knows_the_errors(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="small", messages=[{"role": "user", "content": "x" * 100_000}])
    assert caught.value.code == "context_length_exceeded"
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="large", messages=HELLO)
    assert caught.value.code == "model_not_found"


def test_hostile_text_comes_back_as_it_is(client, small):
    nasty = "<script>alert(1)</script> <|im_end|>\u202e\x00"
    messages = [{"role": "user", "content": nasty}]
    answer = client.chat.completions.create(model="small", messages=messages, temperature=0, max_tokens=4)
    assert answer.choices[0].message.content == direct(small, 4, messages).text


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},  # DNS rebinding
        {"Host": "127.0.0.1:1"},
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
def test_a_page_of_another_site_is_refused(headers, port, small):
    before = small.model.steps
    status, content = post(port, message(), **headers)
    assert status == 403 and content["error"]["code"] == "forbidden" and small.model.steps == before


def test_a_form_of_another_site_is_refused_and_our_own_page_is_not(port):
    assert post(port, message(), Content_Type="text/plain")[0] == 415
    own = {"Origin": f"http://127.0.0.1:{port}", "Sec_Fetch_Site": "same-origin"}
    assert post(port, message() | {"max_tokens": 2}, **own)[0] == 200


def test_nothing_else_is_there(port):
    for path in ("/v1/embeddings", "/v1/../etc/passwd", "/chat.py", "/chat-css"):
        status, content = post(port, {}, path)
        assert status == 404 and path in content["error"]["message"]
    assert post(port, {}, "/v1/models")[0] == 405


def test_a_model_that_fails_midway_says_so():
    with running(failing=chat_model(broken_after=3)) as port:
        client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="any", max_retries=0)
        with client, pytest.raises(openai.APIError, match="failing can't answer: the logits contain NaN"):
            list(client.chat.completions.create(model="failing", messages=HELLO, stream=True))
        status, content = post(port, message())  # now from its first step on
        assert status == 500 and "the logits contain NaN" in content["error"]["message"]


# ---- many at once ----------------------------------------------------------------------------------


def test_ten_clients_at_once_each_get_their_own_answer(client, small, slow):
    questions = [[{"role": "user", "content": f"Question {i}?"}] for i in range(10)]

    def ask(i):
        model = ["small", "slow"][i % 2]
        stream = client.chat.completions.create(
            model=model, messages=questions[i], temperature=0, max_tokens=8, stream=True
        )
        return "".join(chunk.choices[0].delta.content or "" for chunk in stream)

    with ThreadPoolExecutor(10) as clients:
        answers = [*clients.map(ask, range(10))]
    assert answers == [direct([small, slow][i % 2], 8, questions[i]).text for i in range(10)]


def test_turns_go_round():
    turns, order, all_wait = desk.Turns(), [], threading.Barrier(4)

    def work(name):
        all_wait.wait()
        with turns.turn():
            for _ in range(5):
                order.append(name)
                turns.pass_on()

    with turns.turn():
        threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
        for thread in threads:
            thread.start()
        all_wait.wait()
        while len(turns._waiting) < 3:
            time.sleep(0.01)
    for thread in threads:
        thread.join()
    assert order == order[:3] * 5 and set(order) == {"a", "b", "c"}


def test_who_comes_to_a_full_desk_is_refused_and_the_others_are_not(monkeypatch):
    monkeypatch.setattr(desk, "AT_ONCE", 1)
    monkeypatch.setattr(desk, "WAITING", 1)
    with running(slow=chat_model(pause=0.02)) as port, ThreadPoolExecutor(4) as clients:
        got = [*clients.map(lambda _: post(port, message() | {"max_tokens": 20}), range(4))]
        statuses = sorted(status for status, _ in got)
        assert statuses == [200, 200, 429, 429]
        assert "2 answers are asked for already" in next(c["error"]["message"] for s, c in got if s == 429)
        assert post(port, message() | {"max_tokens": 1})[0] == 200


@pytest.mark.parametrize("stream", [True, False])
def test_the_answer_to_a_client_that_has_left_ends(stream, monkeypatch):
    """The one that is written, and the one that waits."""
    monkeypatch.setattr(desk, "AT_ONCE", 1)
    chat = chat_model(pause=0.02)
    with running(slow=chat) as port:
        body = json.dumps(message() | {"max_tokens": 500, "stream": stream})
        leaving = [http.client.HTTPConnection("127.0.0.1", port, timeout=30) for _ in range(2)]
        for connection in leaving:
            connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
        while chat.model.steps < 5:
            time.sleep(0.02)
        for connection in leaving:
            connection.sock.close()
        status, _ = post(port, message() | {"max_tokens": 3})  # who comes after has not to wait
        assert status == 200 and chat.model.steps < 100
