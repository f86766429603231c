"""The replay of recorded conversations: a small one, whose response times are known, comes out as it should."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.corpus_threads import run

TWEETS = """tweet_id,author_id,inbound,created_at,text,response_tweet_id,in_response_to_tweet_id
7,20001,True,Tue Oct 31 10:00:00 +0000 2017,@VattenTest my tap is dry,6,
6,VattenTest,False,Tue Oct 31 10:02:30 +0000 2017,@20001 Where do you live?,5,7
5,20001,True,Tue Oct 31 10:04:00 +0000 2017,@VattenTest Norra gatan & no news,4,6
4,VattenTest,False,Tue Oct 31 10:09:00 +0000 2017,@20001 Back at noon.,,5
9,20002,True,Tue Oct 31 11:00:00 +0000 2017,no water again,8,
8,VattenTest,False,Tue Oct 31 11:01:00 +0000 2017,@20002 Sorry! Which street?,,9
3,20003,True,Tue Oct 31 12:00:00 +0000 2017,@VattenTest is this safe to drink?,2,
2,20004,True,Tue Oct 31 12:05:00 +0000 2017,@20003 @VattenTest same here,1,3
1,VattenTest,False,Tue Oct 31 12:10:00 +0000 2017,@20004 Yes it is,,2
10,20005,True,Tue Oct 31 13:00:00 +0000 2017,@VattenTest hello?,11,
11,VattenTest,False,Tue Oct 31 13:00:05 +0000 2017,@20005 Hello!,,10
"""
TRUTH = """root_tweet_id,customer,brand,first_response_seconds_any
7,20001,VattenTest,150
9,20002,VattenTest,60
3,20003,VattenTest,600
10,20005,VattenTest,6
"""


@pytest.mark.slow
def test_it_counts_what_agrees_and_says_why_the_rest_does_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "twcs.csv").write_text(TWEETS, encoding="utf-8")
    (tmp_path / "first_response_truth.csv").write_text(TRUTH, encoding="utf-8")
    run(tmp_path)
    told = capsys.readouterr().out
    assert told.startswith("11 tweets, 1 companies, 0 more accounts, 3 cases, ")
    assert "truth: 4, agreeing: 2, not: 2" in told
    assert "where the first tweet names the company: 2 of 3 agree" in told
    assert "tweet 9 to @VattenTest: the first tweet does not name @VattenTest, which answered it unasked" in told
    assert "tweet 10 to @VattenTest: 5 s instead of 6" in told
