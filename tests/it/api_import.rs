//! Files of devices and lights: CSV as spreadsheets write it, GeoJSON, rehearsals, bad rows, and the way out and back.
use ccms_service::Scope;
use serde_json::{Value, json};

use crate::api_client::Integrator;
use crate::city::City;

async fn import(admin: &Integrator, query: &str, csv: &str) -> crate::answer::Answer {
    let path = format!("import/lights{query}");
    admin.sends("POST", &path, &[("content-type", "text/csv; charset=utf-8")], csv.as_bytes().to_vec()).await
}

const PLAIN: &str = "device_id,light_id,name,latitude,longitude,address,city,zone,ward,feeder,pole,wattage\n\
    IMEI:1,SL001,Main Road 1,28.61,77.20,\"Main Road, corner\",Delhi,north,W1,F1,P1,70\n\
    IMEI:2,SL002,Main Road 2,28.62,77.21,Main Road,Delhi,north,W1,F1,P2,\n";

on_both! {
    async fn a_file_is_rehearsed_taken_in_and_taken_in_again(engine) {
        let city = City::registered(engine).await;
        let admin = Integrator::of(&city, Scope::Admin).await;
        let counts = |r: &Value| (r["created"].as_u64().unwrap(), r["updated"].as_u64().unwrap(), r["errors"].as_array().unwrap().len());
        let rehearsed = import(&admin, "?dry_run=true", PLAIN).await.done(200);
        assert_eq!(counts(&rehearsed), (2, 0, 0));
        admin.gets("lights/SL001").await.problem(404);
        assert_eq!(counts(&import(&admin, "?dry_run=false&claim_hours=2", PLAIN).await.done(200)), (2, 0, 0));
        let light = admin.gets("lights/SL001").await.done(200);
        assert_eq!((light["address"].as_str(), light["wattage"].as_f64()), (Some("Main Road, corner"), Some(70.0)));
        assert_eq!(counts(&import(&admin, "", PLAIN).await.done(200)), (0, 2, 0));
        // The claim window is open: first contact claims.
        let mut device = city.device("IMEI:1");
        device.configures().await.ok();
        assert_eq!(device.light, "SL001");
        // A part of the columns changes nothing else; semicolons, a mark at the beginning, other line ends.
        let partial = "\u{feff}LIGHT_ID;name;colour\r\nSL002;\"Mill; Lane\";green\r\n\r\n";
        let report = import(&admin, "", partial).await.done(200);
        assert_eq!((counts(&report), &report["ignored_columns"]), ((0, 1, 0), &json!(["colour"])));
        let light = admin.gets("lights/SL002").await.done(200);
        assert_eq!((light["name"].as_str(), light["zone"].as_str()), (Some("Mill; Lane"), Some("north")));
        // A panel drives several lights; a light may wait for its controller.
        let panel = "device_id,light_id\nIMEI:9,SL011\nIMEI:9,SL012\n,SL013\nIMEI:10,\n";
        assert_eq!(counts(&import(&admin, "", panel).await.done(200)), (4, 0, 0));
        assert_eq!(admin.gets("devices/IMEI:9").await.done(200)["light_ids"], json!(["SL011", "SL012"]));
        assert_eq!(admin.gets("lights/SL013").await.done(200)["device_id"], Value::Null);
        assert!(admin.gets("devices/IMEI:10").await.done(200)["light_id"].is_string());
        // A registered device that is in the file again gets its window too.
        import(&admin, "?claim_hours=1", "device_id,name\nIMEI:2,Again\n").await.done(200);
        city.device("IMEI:2").configures().await.ok();
    }
}

on_both! {
    async fn every_bad_row_is_named_and_nothing_is_written(engine) {
        let city = City::registered(engine).await;
        let admin = Integrator::of(&city, Scope::Admin).await;
        import(&admin, "", PLAIN).await.done(200);
        let bad = "device_id,light_id,name,latitude,longitude,wattage\n\
            IMEI:5,SL005,Good,1,1,1\n\
            IMEI 6,SL006,Id,1,1,1\n\
            IMEI:7,SL007,North,91,1,1\n\
            IMEI:8,SL008,Half,1,,1\n\
            IMEI:9,SL009,Text,abc,1,1\n\
            IMEI:10,SL010,Watt,1,1,-3\n\
            IMEI:1,SL002,Foreign,1,1,1\n\
            ,,Nobody,1,1,1\n\
            IMEI:5,SL055,Twice,1,1,1\n\
            IMEI:11,SL005,Twice,1,1,1\n\
            IMEI:12,SL012,Long,1,1,1,1,1,1\n";
        let seen: Vec<(u64, &str)> = vec![
            (3, "device_id"), (4, "latitude"), (5, "longitude"), (6, "latitude"), (7, "wattage"), (8, "device_id"), (9, "light_id"),
            (11, "light_id"), (12, ""),
        ];
        let named = |errors: &Value| -> Vec<(u64, String)> {
            let of = |e: &Value| (e["row"].as_u64().unwrap(), e["column"].as_str().unwrap().to_owned());
            errors.as_array().unwrap().iter().inspect(|e| assert!(e["message"].is_string())).map(of).collect()
        };
        let expected: Vec<(u64, String)> = seen.iter().map(|(row, column)| (*row, (*column).to_owned())).collect();
        let rehearsed = import(&admin, "?dry_run=true", bad).await.done(200);
        assert_eq!(named(&rehearsed["errors"]), expected);
        assert_eq!((rehearsed["created"].as_u64(), rehearsed["updated"].as_u64()), (Some(2), Some(0)));
        let refused = import(&admin, "", bad).await.problem(422);
        assert_eq!(named(&refused["errors"]), expected);
        admin.gets("lights/SL005").await.problem(404);
        import(&admin, "", "name,latitude\nx,1\n").await.problem(400);
        import(&admin, "", "").await.problem(400);
        import(&admin, "", "light_id,light_id\nx,y\n").await.problem(400);
        import(&admin, "?dry_run=maybe", PLAIN).await.problem(400);
        import(&admin, "?claim_hours=0", PLAIN).await.problem(422);
        admin.sends("POST", "import/lights", &[("content-type", "application/pdf")], b"x".to_vec()).await.problem(415);
        admin.sends("POST", "import/lights", &[("content-type", "text/csv")], vec![b'a'; 5 * 1024 * 1024 + 1]).await.problem(413);
        let latin1 = b"light_id,name\nSL001,Stra\xdfe\n".to_vec();
        let refused = admin.sends("POST", "import/lights", &[("content-type", "text/csv")], latin1).await.problem(422);
        assert_eq!(named(&refused["errors"]), [(2, "name".to_owned())]);
        let many: String = std::iter::once("light_id\n".to_owned()).chain((0..20_001).map(|n| format!("X{n}\n"))).collect();
        import(&admin, "?dry_run=true", &many).await.problem(413);
    }
}

on_both! {
    async fn everything_that_is_wrong_with_a_row_is_named(engine) {
        let city = City::registered(engine).await;
        let admin = Integrator::of(&city, Scope::Admin).await;
        let bad = "device_id,light_id,name,latitude,longitude,wattage\n\
            IMEI:1,SL001,Both,95,181,-1\n\
            \n\
            IMEI:2,SL002,Half read,x,200,y\n\
            IMEI:3,SL003\n\
            IMEI:4,SL004,\"Never closed,1,1,1\n\
            IMEI:5,SL005,\"Good, too\",1,1,1\n\
            IMEI:1,SL001,Twice,1,1,1\n\
            IMEI 9,SL005,Twice,1,1,1\n\
            IMEI:6,,No name,1,1,1\n\
            IMEI:6,,No name,1,1,1\n\
            IMEI:5,SL008,Panel,1,1,1\n\
            IMEI:7,SL009,Mid\"quote,1,1,1\n\
            IMEI:8,SL010,\"Mid\"quote,1,1,1\n";
        let report = import(&admin, "?dry_run=true", bad).await.done(200);
        let all = |list: &Value| -> Vec<(u64, String, String)> {
            let text = |e: &Value, name: &str| e[name].as_str().unwrap().to_owned();
            let of = |e: &Value| (e["row"].as_u64().unwrap(), text(e, "column"), text(e, "message"));
            list.as_array().unwrap().iter().map(of).collect()
        };
        let errors = all(&report["errors"]);
        let places: Vec<(u64, &str)> = errors.iter().map(|(row, column, _)| (*row, column.as_str())).collect();
        let expected = [
            (2, "latitude"), (2, "longitude"), (2, "wattage"), (4, "latitude"), (4, "wattage"), (4, "longitude"), (5, ""),
            (6, "name"), (8, "light_id"), (9, "device_id"), (9, "light_id"), (11, "device_id"), (14, "name"),
        ];
        assert_eq!(places, expected, "{errors:#?}");
        let said = |row: u64, column: &str| &errors.iter().find(|e| (e.0, e.1.as_str()) == (row, column)).unwrap().2;
        assert!(said(5, "").contains("2 cells") && said(5, "").contains('6'), "{}", said(5, ""));
        assert!(said(6, "name").contains("never closed"), "{}", said(6, "name"));
        assert!(said(8, "light_id").contains("row 2"), "{}", said(8, "light_id"));
        assert!(said(9, "light_id").contains("row 7"), "{}", said(9, "light_id"));
        assert!(said(11, "device_id").contains("row 10"), "{}", said(11, "device_id"));
        // A panel drives several lights; that a row says so may be a slip.
        let warned: Vec<(u64, String, String)> = all(&report["warnings"]);
        assert_eq!((warned.len(), warned[1].0, warned[1].2.contains("row 7")), (2, 12, true), "{warned:?}");
        import(&admin, "", "light_id,\"name\n").await.problem(400);
        let place = |id: &str, at: Value| json!({"type": "Feature", "geometry": {"type": "Point", "coordinates": at}, "properties": {"light_id": id}});
        let file = json!({"type": "FeatureCollection", "features": [place("SL001", json!([1, 1])), place("SL001", json!([200, 95]))]});
        let geo = [("content-type", "application/geo+json")];
        let report = admin.sends("POST", "import/lights?dry_run=true", &geo, file.to_string().into_bytes()).await.done(200);
        let errors = all(&report["errors"]);
        let places: Vec<(u64, &str)> = errors.iter().map(|(row, column, _)| (*row, column.as_str())).collect();
        assert_eq!(places, [(2, "light_id"), (2, "latitude"), (2, "longitude")], "{errors:?}");
        assert_eq!(admin.gets("lights").await.done(200)["items"], json!([]));
    }
}

on_both! {
    async fn the_names_of_a_file_come_before_ours(engine) {
        let city = City::registered(engine).await;
        let admin = Integrator::of(&city, Scope::Admin).await;
        import(&admin, "", "device_id,light_id\nIMEI:1,\nIMEI:2,SL001\n").await.done(200);
        assert_eq!(admin.gets("devices/IMEI:2").await.done(200)["light_id"], "SL001");
        assert_eq!(admin.gets("devices/IMEI:1").await.done(200)["light_id"], "SL002");
    }
}

on_both! {
    async fn claim_windows_are_part_of_the_import(engine) {
        let city = City::registered(engine).await;
        let admin = Integrator::of(&city, Scope::Admin).await;
        let devices: String = (1..=9).map(|n| format!("IMEI:{n}\n")).collect();
        let file = format!("device_id\n{devices}");
        import(&admin, "", &file).await.done(200);
        let approved = async || {
            let actions = city.store.inner().audit(100).await.unwrap();
            actions.into_iter().filter(|e| e.action == "device.approve").count()
        };
        let calls_of = async |query: &str| {
            let before = city.store.calls();
            import(&admin, query, &file).await.done(200);
            city.store.calls() - before
        };
        // The clock of the key's memory may make one more.
        assert!(calls_of("?claim_hours=1").await <= calls_of("").await + 1, "no second step that may fail");
        assert_eq!(approved().await, 9);
    }
}

on_both! {
    async fn what_goes_out_comes_back_as_it_was(engine) {
        let city = City::registered(engine).await;
        let admin = Integrator::of(&city, Scope::Admin).await;
        let places = [
            json!({"device_id": "IMEI:1", "light_id": "SL001", "name": "=1+1", "address": "@home, \"quoted\"", "zone": "-north",
                "latitude": -28.61, "longitude": -77.2, "wattage": 70.5}),
            json!({"device_id": "IMEI:2", "light_id": "-x", "name": "'=y", "city": "Düsseldorf; Straße", "pole": "+7"}),
        ];
        for place in &places {
            admin.posts("devices", place).await.done(201);
        }
        let answer = admin.gets("export/lights.csv").await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/csv; charset=utf-8")));
        let csv = String::from_utf8(answer.body.to_vec()).unwrap();
        assert!(csv.starts_with("\u{feff}device_id,light_id,name,latitude,longitude,address,city,zone,ward,feeder,pole,wattage\r\n"));
        assert!(csv.contains("'=1+1") && csv.contains(",-28.61,-77.2,") && csv.contains("'-north"), "{csv}");
        for cell in csv.split([',', '\n']).filter(|c| c.parse::<f64>().is_err()) {
            assert!(!cell.trim_start_matches('"').starts_with(['=', '+', '-', '@']), "a formula: {cell}");
        }
        let geojson = admin.gets("export/lights.geojson").await;
        let before: Vec<Value> = admin.gets("lights").await.done(200)["items"].as_array().unwrap().clone();
        let clears = "light_id,name,address,zone,city,pole,latitude,longitude,wattage\nSL001,,,,,,1,1,\n-x,,,,,,1,1,\n";
        let curated = |lights: &Value| -> Vec<Value> {
            let part = |l: &Value| json!([l["name"], l["address"], l["zone"], l["city"], l["pole"], l["latitude"], l["longitude"], l["wattage"]]);
            lights.as_array().unwrap().iter().map(part).collect()
        };
        for (kind, file) in [("text/csv", csv.into_bytes()), ("application/geo+json", geojson.body.to_vec())] {
            import(&admin, "", clears).await.done(200);
            let report = admin.sends("POST", "import/lights", &[("content-type", kind)], file).await.done(200);
            assert_eq!((report["created"].as_u64(), report["updated"].as_u64()), (Some(0), Some(2)), "{kind}");
            let after = admin.gets("lights").await.done(200);
            let mut expected = curated(&Value::Array(before.clone()));
            // Nobody said where this one stands, so the file says nothing and what is known stays.
            (expected[1][5], expected[1][6]) = (json!(1.0), json!(1.0));
            assert_eq!(curated(&after["items"]), expected, "{kind}");
        }
        let feature = json!({"type": "Feature", "geometry": {"type": "Point", "coordinates": [25.0, 60.2]}, "properties": {"light_id": "SL777"}});
        let bad = json!({"type": "Feature", "geometry": {"type": "LineString", "coordinates": []}, "properties": {"light_id": "SL778"}});
        let collection = |features: &[&Value]| json!({"type": "FeatureCollection", "features": features}).to_string().into_bytes();
        let geo = [("content-type", "application/geo+json")];
        admin.sends("POST", "import/lights", &geo, collection(&[&feature])).await.done(200);
        assert_eq!(admin.gets("lights/SL777").await.done(200)["latitude"], 60.2);
        let refused = admin.sends("POST", "import/lights", &geo, collection(&[&feature, &bad])).await.problem(422);
        assert_eq!((refused["errors"][0]["row"].as_u64(), refused["errors"][0]["column"].as_str()), (Some(2), Some("geometry")));
        admin.sends("POST", "import/lights", &geo, b"[]".to_vec()).await.problem(422);
        admin.sends("POST", "import/lights", &geo, b"{".to_vec()).await.problem(400);
    }
}
