-- A small database with what dump and restore tools have stumbled over. It is
-- loaded by the client into an empty database, by root. MariaDB 10.11 and MySQL 9
-- take all of it.
SET NAMES utf8mb4;
CREATE USER shop_definer@localhost IDENTIFIED BY 'pa''ss#w"ord';
CREATE USER 'we ird''user'@'%' IDENTIFIED BY 'x';

CREATE TABLE customer (
	id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
	mail varchar(100) COLLATE utf8mb4_bin UNIQUE,
	feeling enum('sad', 'ok', 'happy é') DEFAULT 'ok',
	flags set('a', 'b', 'c'),
	extra json,
	raw varbinary(64),
	bits bit(5),
	born date,
	seen timestamp(6) NULL,
	ratio double,
	amount decimal(30, 10) CHECK (amount > 0),
	double_amount decimal(31, 10) AS (amount * 2) STORED,
	upper_mail varchar(100) AS (upper(mail)) VIRTUAL,
	place point,
	KEY `an index $ with é` (feeling, born)
) ENGINE=InnoDB AUTO_INCREMENT=1000 DEFAULT CHARSET=utf8mb4 COMMENT='it''s; -- odd \\ comment';

CREATE TABLE n (i int PRIMARY KEY);
INSERT INTO n VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9);
INSERT INTO customer (mail, feeling, flags, extra, raw, bits, born, seen, ratio, amount, place)
SELECT concat('user', k, '@example.org'), elt(1 + k % 3, 'sad', 'ok', 'happy é'), elt(1 + k % 3, 'a', 'a,c', ''),
	json_object('n', k, 'nested', json_array(1, NULL, 'é🐘')), unhex(sha2(k, 256)), k % 32, '2000-02-29',
	'2026-11-22 21:56:43.123456', k / 3, k + 0.0000000001, point(k, -k)
FROM (SELECT 1 + a.i + 10 * b.i + 100 * c.i + 1000 * d.i AS k FROM n a, n b, n c, n d WHERE d.i < 5) AS numbers;

-- odd names and values
CREATE TABLE `we ird"s ``$; DROP TABLE x; --` (`se lect` int PRIMARY KEY, `é ``col` text);
INSERT INTO `we ird"s ``$; DROP TABLE x; --` VALUES (1, '\\N'), (2, 'line\nbreak\r\n\0nul\Z'), (3, '''"`;--'), (4, '😀'), (5, NULL), (6, '');
CREATE TABLE zero (id int AUTO_INCREMENT PRIMARY KEY, d date);
SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO';
INSERT INTO zero VALUES (0, '0000-00-00'), (1, '2026-00-00');
SET sql_mode = DEFAULT;

-- circular foreign keys
CREATE TABLE hen (id int PRIMARY KEY, egg int NOT NULL) ENGINE=InnoDB;
CREATE TABLE egg (id int PRIMARY KEY, hen int NOT NULL, FOREIGN KEY (hen) REFERENCES hen (id)) ENGINE=InnoDB;
SET foreign_key_checks = 0;
INSERT INTO hen VALUES (1, 1), (2, 2);
INSERT INTO egg VALUES (1, 1), (2, 2);
ALTER TABLE hen ADD FOREIGN KEY (egg) REFERENCES egg (id);
SET foreign_key_checks = 1;

-- a trigger that raises: a restore must not fire it
CREATE TABLE ledger (id int AUTO_INCREMENT PRIMARY KEY, note text);
INSERT INTO ledger (note) SELECT concat('entry ', i) FROM n;
DELIMITER ;;
CREATE DEFINER=shop_definer@localhost TRIGGER closed BEFORE INSERT ON ledger FOR EACH ROW BEGIN
	SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'the ledger is closed; really';
END;;
CREATE PROCEDURE touch(IN x int) BEGIN SELECT x; SELECT 'a;b'; END;;
CREATE FUNCTION twice(x int) RETURNS int DETERMINISTIC RETURN x * 2;;
CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 02:30:00' DISABLE DO BEGIN DELETE FROM zero; END;;
DELIMITER ;

-- views on views, partitions
CREATE DEFINER=shop_definer@localhost SQL SECURITY INVOKER VIEW rich AS SELECT id, mail, amount FROM customer WHERE amount > 100 WITH CHECK OPTION;
CREATE VIEW richer AS SELECT * FROM rich WHERE amount > 1000;
CREATE TABLE event_log (at date NOT NULL, body text) PARTITION BY RANGE (year(at)) (
	PARTITION p2025 VALUES LESS THAN (2026), PARTITION p2026 VALUES LESS THAN (2027), PARTITION rest VALUES LESS THAN MAXVALUE);
INSERT INTO event_log SELECT '2025-06-01' + INTERVAL 100 * i DAY, repeat('x', i * 30) FROM n;

-- other character sets, another engine, an empty table
CREATE TABLE latin (x varchar(50)) DEFAULT CHARSET=latin1;
INSERT INTO latin VALUES ('Straße é');
CREATE TABLE empty_one LIKE customer;

-- a row of 15 MB
CREATE TABLE big (id int PRIMARY KEY, body longtext, raw longblob);
INSERT INTO big VALUES (1, repeat('0123456789abcde', 1000000), NULL), (2, NULL, unhex(repeat('00ff0a', 100000))), (3, '', '');

GRANT SELECT ON customer TO 'we ird''user'@'%';
