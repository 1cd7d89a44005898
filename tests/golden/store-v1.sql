BEGIN TRANSACTION;
CREATE TABLE activity (
	sequence INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	at FLOAT NOT NULL, 
	action TEXT NOT NULL, 
	project TEXT NOT NULL, 
	run_id TEXT NOT NULL, 
	step_id TEXT NOT NULL, 
	facts TEXT NOT NULL
);
INSERT INTO "activity" VALUES(1,1.5,'run_started','calculator','r-12345678','','{"steps":1}');
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE delegations (
	number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	task_id TEXT NOT NULL, 
	run_id TEXT NOT NULL, 
	step_id TEXT NOT NULL, 
	round INTEGER NOT NULL, 
	state TEXT NOT NULL, 
	created FLOAT NOT NULL, 
	agent TEXT NOT NULL, 
	model TEXT NOT NULL, 
	usd FLOAT NOT NULL, 
	tokens INTEGER NOT NULL, 
	ended FLOAT NOT NULL, 
	facts TEXT NOT NULL, 
	UNIQUE (task_id), 
	FOREIGN KEY(run_id) REFERENCES runs (id)
);
INSERT INTO "delegations" VALUES(1,'r-12345678.a.b_c-1.3','r-12345678','a.b_c-1',3,'held',1.5,'codex','m:2',0.2,5,2.5,'{"worktree":"/home/w\udce9","branch":"b","base":"1111111111111111111111111111111111111111","work":"2222222222222222222222222222222222222222","context":"/context","reason":"\u00e9 \u6f22\u5b57 \ud83d\ude00 \u2028 \r\n\t\u0000\u001b[0m ''; DROP TABLE runs; -- \udce9 \\u0041 %s {x}"}');
CREATE TABLE documents (
	name TEXT NOT NULL, 
	content TEXT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "documents" VALUES('experience','{"claude":{"tasks":3}}');
CREATE TABLE heartbeats (
	project TEXT NOT NULL, 
	owner TEXT NOT NULL, 
	at FLOAT NOT NULL, 
	state TEXT NOT NULL, 
	PRIMARY KEY (project)
);
INSERT INTO "heartbeats" VALUES('calculator','orchestrator-4711-1a2b3c-00000000',1800000000.5,'{"runs":["r-12345678"]}');
CREATE TABLE projects (
	name TEXT NOT NULL, 
	created FLOAT NOT NULL, 
	facts TEXT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "projects" VALUES('calculator',1.5,'{"workspace":"/projects/\udce9","target":"main","created_here":true,"repository":"somebody/calculator","state":{"text":"\u00e9 \u6f22\u5b57 \ud83d\ude00 \u2028 \r\n\t\u0000\u001b[0m ''; DROP TABLE runs; -- \udce9 \\u0041 %s {x}","deep":[1,{"x":null,"y":[true,0.1]}],"":""}}');
CREATE TABLE runs (
	number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	id TEXT NOT NULL, 
	project TEXT NOT NULL, 
	status TEXT NOT NULL, 
	created FLOAT NOT NULL, 
	started FLOAT NOT NULL, 
	ended FLOAT NOT NULL, 
	facts TEXT NOT NULL, 
	UNIQUE (id)
);
INSERT INTO "runs" VALUES(1,'r-plain','r-plain','completed',1.0,0.0,0.0,'{"title":"t","request":"","workspace":"/srv/folder","isolated":false,"autonomy":"full","sequential":false,"wip":0,"timeout_seconds":14400.0,"spent_seconds":0.0,"from_model":false,"check":"","branch":"","target":"","base":"","asks":"","asked":0,"asked_for":[],"wave":0,"planner":"","plan_only":false,"reason":"","report":"","pull_request":""}');
INSERT INTO "runs" VALUES(2,'r-12345678','calculator','waiting',1.80000000012345600123e+09,2.5,3.25,'{"title":"\u00e9 \u6f22\u5b57 \ud83d\ude00 \u2028 \r\n\t\u0000\u001b[0m ''; DROP TABLE runs; -- \udce9 \\u0041 %s {x}","request":"\u00e9 \u6f22\u5b57 \ud83d\ude00 \u2028 \r\n\t\u0000\u001b[0m ''; DROP TABLE runs; -- \udce9 \\u0041 %s {x}","workspace":"/projects/calc\udce9","isolated":false,"autonomy":"manual","sequential":true,"wip":3,"timeout_seconds":0.1,"spent_seconds":1e-09,"from_model":true,"check":"make ''test''","branch":"conductor/r-12345678","target":"main","base":"0000000000000000000000000000000000000000","asks":"commands","asked":2,"asked_for":["rm -rf /","\u00e9 \u6f22\u5b57 \ud83d\ude00 \u2028 \r\n\t\u0000\u001b[0m ''; DROP TABLE runs; -- \udce9 \\u0041 %s {x}"],"wave":4,"planner":"claude:opus","plan_only":true,"reason":"\u00e9 \u6f22\u5b57 \ud83d\ude00 \u2028 \r\n\t\u0000\u001b[0m ''; DROP TABLE runs; -- \udce9 \\u0041 %s {x}","report":"/r","pull_request":"https://example.invalid/1"}');
CREATE TABLE steps (
	run_id TEXT NOT NULL, 
	step_id TEXT NOT NULL, 
	position INTEGER NOT NULL, 
	status TEXT NOT NULL, 
	round INTEGER NOT NULL, 
	bounces INTEGER NOT NULL, 
	wave INTEGER NOT NULL, 
	agent TEXT NOT NULL, 
	model TEXT NOT NULL, 
	usd FLOAT NOT NULL, 
	tokens INTEGER NOT NULL, 
	"commit" TEXT NOT NULL, 
	started FLOAT NOT NULL, 
	ended FLOAT NOT NULL, 
	step TEXT NOT NULL, 
	facts TEXT NOT NULL, 
	PRIMARY KEY (run_id, step_id), 
	FOREIGN KEY(run_id) REFERENCES runs (id)
);
INSERT INTO "steps" VALUES('r-12345678','a.b_c-1',7,'needs_review',3,2,5,'codex','m:2',0.1,123456789012,'ffffffffffffffffffffffffffffffffffffffff',1.25,2.25,'{"id":"a.b_c-1","title":"\u00e9 \u6f22\u5b57 \ud83d\ude00 \u2028 \r\n\t\u0000\u001b[0m ''; DROP TABLE runs; -- \udce9 \\u0041 %s {x}","description":"\u00e9 \u6f22\u5b57 \ud83d\ude00 \u2028 \r\n\t\u0000\u001b[0m ''; DROP TABLE runs; -- \udce9 \\u0041 %s {x}","type":"bug","category":"code-review","complexity":5,"depends_on":["x","y"],"files":["src/**/*.py","\u00e9 \u6f22\u5b57 \ud83d\ude00 \u2028 \r\n\t\u0000\u001b[0m ''; DROP TABLE runs; -- \udce9 \\u0041 %s {x}"],"criteria":["one","\u00e9 \u6f22\u5b57 \ud83d\ude00 \u2028 \r\n\t\u0000\u001b[0m ''; DROP TABLE runs; -- \udce9 \\u0041 %s {x}"],"agent":"claude","model":"m|1","thinking":"high","estimate_seconds":0.1,"timeout_seconds":7.5,"retries":2,"verify":"true","priority":-4,"allow_empty":true,"confidence":0.25}','{"reason":"\u00e9 \u6f22\u5b57 \ud83d\ude00 \u2028 \r\n\t\u0000\u001b[0m ''; DROP TABLE runs; -- \udce9 \\u0041 %s {x}"}');
CREATE TABLE wishes (
	number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	run_id TEXT NOT NULL, 
	what TEXT NOT NULL, 
	step_id TEXT NOT NULL, 
	asked INTEGER NOT NULL, 
	FOREIGN KEY(run_id) REFERENCES runs (id)
);
INSERT INTO "wishes" VALUES(1,'r-12345678','stop','',0);
INSERT INTO "wishes" VALUES(2,'r-12345678','approve','',2);
INSERT INTO "wishes" VALUES(3,'r-12345678','accept','a.b_c-1',0);
INSERT INTO "wishes" VALUES(4,'r-12345678','again','z',0);
CREATE INDEX runs_by_status ON runs (status, project);
CREATE INDEX steps_by_status ON steps (status, run_id);
CREATE INDEX delegations_by_step ON delegations (run_id, step_id);
CREATE INDEX delegations_by_state ON delegations (state);
CREATE UNIQUE INDEX wishes_once ON wishes (run_id, what, step_id);
CREATE INDEX activity_by_project ON activity (project);
CREATE INDEX activity_by_run ON activity (run_id);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('runs',2);
INSERT INTO "sqlite_sequence" VALUES('delegations',1);
INSERT INTO "sqlite_sequence" VALUES('activity',1);
INSERT INTO "sqlite_sequence" VALUES('wishes',4);
COMMIT;
